//! Images made of others: what is long enough is copied by the server.

use agent_target::{ErrorKind, Target};

use crate::site::{MIB, content, name, noise, target};
use tests_s3_server::{Habits, Server};

#[test]
fn long_ranges_stay_on_the_server() {
    let server = Server::start(Habits::default());
    let target = target(server.address);
    let (old, new) = (name("w/s1/i"), name("w/s2/i"));
    let bytes = noise(1, 40 * MIB);
    target.put_object(&old, &bytes).unwrap();
    let before = server.received();
    let head = noise(2, 5 * MIB);
    let mut sink = target.compose_image(&new).unwrap().unwrap();
    sink.reserve_head(head.len() as u64).unwrap();
    sink.append_copy(&old, 7..30_000_007).unwrap();
    sink.append(b"changed").unwrap();
    sink.append_copy(&old, 30_000_014..40 << 20).unwrap();
    sink.sync().unwrap();
    assert_eq!(target.stat(&new).unwrap(), None);
    sink.finish(&head).unwrap();
    let sent = server.received() - before;
    assert!(sent < 11 << 20, "head, and what a part needs more: {sent}");
    let expected = [
        &head,
        &bytes[7..30_000_007],
        b"changed",
        &bytes[30_000_014..],
    ]
    .concat();
    assert!(content(&target, &new) == expected);
    assert_eq!(server.uploads(), 0);
}

#[test]
fn any_ranges_make_the_bytes_that_they_say() {
    let server = Server::start(Habits::default());
    let target = target(server.address);
    let sources = [
        (name("w/ä b+c"), noise(1, 33 * MIB)),
        (name("w/b"), noise(2, 9 * MIB)),
    ];
    for (source, bytes) in &sources {
        target.put_object(source, bytes).unwrap();
    }
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let image = name(&format!("w/out{seed}"));
        let mut sink = target.compose_image(&image).unwrap().unwrap();
        let mut expected = Vec::new();
        let head = if random.bool() {
            noise(3, 5 * MIB)
        } else {
            Vec::new()
        };
        if !head.is_empty() {
            sink.reserve_head(head.len() as u64).unwrap();
            expected.extend(&head);
        }
        for _ in 0..random.u32(0..10) {
            if random.bool() {
                let bytes = noise(seed, random.usize(0..7 * MIB));
                sink.append(&bytes).unwrap();
                expected.extend(bytes);
            } else {
                let (source, bytes) = &sources[random.usize(0..2)];
                let from = random.usize(0..bytes.len());
                let end = random.usize(from..=bytes.len());
                sink.append_copy(source, from as u64..end as u64).unwrap();
                expected.extend(&bytes[from..end]);
            }
            assert_eq!(sink.position(), expected.len() as u64);
        }
        sink.finish(&head).unwrap();
        assert!(content(&target, &image) == expected, "seed {seed}");
    }
}

#[test]
fn a_source_that_is_replaced_meanwhile_ends_it() {
    let server = Server::start(Habits::default());
    let target = target(server.address);
    let (old, new) = (name("w/old"), name("w/new"));
    target.put_object(&old, &noise(1, 20 * MIB)).unwrap();
    let mut sink = target.compose_image(&new).unwrap().unwrap();
    sink.append_copy(&old, 0..10 << 20).unwrap();
    sink.sync().unwrap();
    target.put_object(&old, &noise(2, 20 * MIB)).unwrap();
    let ended = sink
        .append_copy(&old, 10 << 20..20 << 20)
        .and_then(|()| sink.finish(&[]));
    assert_ne!(ErrorKind::of(&ended.unwrap_err()), ErrorKind::NotFound);
    drop(sink);
    assert_eq!(target.stat(&new).unwrap(), None);
    target.abandon_image(&new).unwrap();
    assert_eq!(server.uploads(), 0);
}
