//! Reading images: ahead for who goes from front to back, never of two objects at once.

use std::thread;

use agent_target::{ErrorKind, Target};

use crate::site::{MIB, name, noise, target};
use tests_s3_server::{Habits, Server};

fn with_image(bytes: &[u8]) -> (Server, agent_target_s3::S3Target) {
    let server = Server::start(Habits::default());
    let target = target(server.address);
    target.put_object(&name("w/i"), bytes).unwrap();
    (server, target)
}

#[test]
fn whoever_goes_from_front_to_back_needs_few_requests() {
    let bytes = noise(1, 50 * MIB + 123);
    let (server, target) = with_image(&bytes);
    let image = target.open_image(&name("w/i")).unwrap();
    let mut buffer = vec![0; 65536];
    for (at, wanted) in bytes.chunks(65536).enumerate() {
        let buffer = buffer.get_mut(..wanted.len()).unwrap();
        image.read_exact_at(buffer, at as u64 * 65536).unwrap();
        assert!(buffer == wanted, "at {at}");
    }
    // Seven chunks, and what was read before it was clear that it goes on.
    assert!(
        server.requests("GET object") <= 14,
        "{}",
        server.requests("GET object")
    );
}

#[test]
fn whoever_jumps_gets_what_was_asked_for() {
    let bytes = noise(2, 30 * MIB);
    let (_server, target) = with_image(&bytes);
    let image = target.open_image(&name("w/i")).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..200 {
        let from = random.usize(0..bytes.len());
        let length = random.usize(0..(bytes.len() - from).min(300_000));
        let mut buffer = vec![0; length];
        image.read_exact_at(&mut buffer, from as u64).unwrap();
        assert!(buffer == bytes[from..from + length], "{from} {length}");
    }
}

#[test]
fn many_read_one_image_at_once() {
    let bytes = noise(3, 48 * MIB);
    let (_server, target) = with_image(&bytes);
    let image = target.open_image(&name("w/i")).unwrap();
    thread::scope(|scope| {
        for reader in 0..6 {
            let (image, bytes) = (&image, &bytes);
            scope.spawn(move || {
                let part = bytes.len() / 6;
                for from in (reader * part..(reader + 1) * part).step_by(200_000) {
                    let end = (from + 200_000).min(bytes.len());
                    let mut buffer = vec![0; end - from];
                    image.read_exact_at(&mut buffer, from as u64).unwrap();
                    assert!(buffer == bytes[from..end]);
                }
            });
        }
    });
}

#[test]
fn bytes_of_two_objects_are_never_mixed() {
    let (_server, target) = with_image(&noise(4, 20 * MIB));
    let image = target.open_image(&name("w/i")).unwrap();
    let mut buffer = vec![0; MIB];
    image.read_exact_at(&mut buffer, 0).unwrap();
    target
        .put_object(&name("w/i"), &noise(5, 20 * MIB))
        .unwrap();
    let error = image.read_exact_at(&mut buffer, 19 << 20).unwrap_err();
    assert_eq!(ErrorKind::of(&error), ErrorKind::Unavailable);
    target.delete(&name("w/i")).unwrap();
    let error = image.read_exact_at(&mut buffer, 19 << 20).unwrap_err();
    assert_eq!(ErrorKind::of(&error), ErrorKind::Unavailable);
}
