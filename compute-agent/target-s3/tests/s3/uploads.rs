//! Images on their way up: parts, their sizes, and going on after the writer's end.

use agent_target::{ErrorKind, Target};
use agent_target_s3::{S3Settings, S3Target};

use crate::site::{MIB, content, name, noise, settings, target};
use tests_s3_server::{Habits, Server};

fn server() -> Server {
    Server::start(Habits::default())
}

#[test]
fn an_image_is_one_object_of_parts_whose_head_was_sent_last() {
    let server = server();
    let target = target(server.address);
    let image = name("w/v/i");
    let (head, data) = (noise(1, 6 * MIB), noise(2, 12 * MIB));
    let mut sink = target.create_image(&image, None).unwrap();
    sink.reserve_head(head.len() as u64).unwrap();
    for piece in data.chunks(65536) {
        sink.append(piece).unwrap();
    }
    assert_eq!(server.keys(), [""; 0]);
    sink.finish(&head).unwrap();
    assert_eq!(server.keys(), ["cloud/backups/w/v/i"]);
    assert_eq!(server.requests("PUT part"), 4);
    assert_eq!(server.uploads(), 0);
    assert_eq!(content(&target, &image), [head, data].concat());
}

#[test]
fn what_is_less_than_a_part_is_one_plain_request() {
    let server = server();
    let target = target(server.address);
    let mut sink = target.create_image(&name("w/i.index"), None).unwrap();
    sink.append(b"small").unwrap();
    sink.finish(&[]).unwrap();
    assert_eq!(server.requests("PUT object"), 1);
    assert_eq!(server.requests("POST begin"), 0);
    assert_eq!(content(&target, &name("w/i.index")), b"small");
}

/// Appends, syncs and ends the writer at random; another host goes on each time.
fn grows_whatever_happens(seed: u64, head_bytes: usize) {
    let server = server();
    let mut random = fastrand::Rng::with_seed(seed);
    let image = name("w/v/i");
    let head = noise(seed, head_bytes);
    let mut expected = head.clone();
    let first = target(server.address);
    let mut sink = first.create_image(&image, None).unwrap();
    if head_bytes > 0 {
        sink.reserve_head(head_bytes as u64).unwrap();
    }
    sink.sync().unwrap();
    // The last two: a caller may end after a sync and before it has noted it.
    let mut synced = [expected.len(); 2];
    for round in 0..24 {
        match random.u32(0..5) {
            0 | 1 => {
                let most = if random.bool() { 9 * MIB } else { 100_000 };
                let bytes = noise(seed + round, random.usize(0..most));
                sink.append(&bytes).unwrap();
                expected.extend(bytes);
            }
            2 | 3 => {
                sink.sync().unwrap();
                synced = [synced[1], expected.len()];
            }
            _ => {
                drop(sink);
                let length = synced[random.usize(0..2)];
                let other = target(server.address);
                sink = other.create_image(&image, Some(length as u64)).unwrap();
                expected.truncate(length);
                synced = [length; 2];
            }
        }
        assert_eq!(sink.position(), expected.len() as u64);
    }
    // Servers as strict as Ceph refuse an object of which a part that they have is left out.
    let bytes = noise(99, 60 * MIB);
    sink.append(&bytes).unwrap();
    expected.extend(bytes);
    sink.finish(&head).unwrap();
    assert!(content(&first, &image) == expected, "seed {seed}");
    assert_eq!(server.keys(), ["cloud/backups/w/v/i"]);
    assert_eq!(server.uploads(), 0);
}

#[test]
fn a_killed_writer_is_followed_by_another_that_goes_on_where_it_was_synced() {
    for seed in 0..6 {
        grows_whatever_happens(seed, 5 * MIB);
    }
}

#[test]
fn the_same_holds_for_an_object_without_a_head() {
    for seed in 10..14 {
        grows_whatever_happens(seed, 0);
    }
}

#[test]
fn a_small_image_that_was_synced_and_resumed_needs_no_upload() {
    let server = server();
    let image = name("w/v/i");
    let mut sink = target(server.address).create_image(&image, None).unwrap();
    for piece in [&b"one "[..], b"two "] {
        sink.append(piece).unwrap();
        sink.sync().unwrap();
    }
    drop(sink);
    let target = target(server.address);
    let mut sink = target.create_image(&image, Some(8)).unwrap();
    sink.append(b"three").unwrap();
    sink.finish(&[]).unwrap();
    assert_eq!(content(&target, &image), b"one two three");
    assert_eq!(server.requests("POST begin"), 0);
    assert_eq!(server.keys(), ["cloud/backups/w/v/i"]);
}

#[test]
fn syncing_often_sends_no_byte_more_than_twice() {
    let server = server();
    let target = target(server.address);
    let mut sink = target.create_image(&name("w/v/i"), None).unwrap();
    sink.reserve_head(5 << 20).unwrap();
    let bytes = noise(1, 200_000);
    for _ in 0..60 {
        sink.append(&bytes).unwrap();
        sink.sync().unwrap();
    }
    let written = 60 * bytes.len() as u64;
    let state = 2 * 1024;
    assert!(
        server.received() <= 2 * written + state,
        "{}",
        server.received()
    );
    sink.finish(&noise(2, 5 * MIB)).unwrap();
    assert_eq!(server.keys(), ["cloud/backups/w/v/i"]);
}

#[test]
fn a_length_that_was_never_synced_is_refused() {
    let server = server();
    let target = target(server.address);
    let image = name("w/v/i");
    let mut sink = target.create_image(&image, None).unwrap();
    sink.append(&noise(1, 12 * MIB)).unwrap();
    sink.sync().unwrap();
    drop(sink);
    for length in [6 << 20, 13 << 20] {
        let resumed = target.create_image(&image, Some(length)).map(|_| ());
        assert_eq!(resumed.unwrap_err().kind, ErrorKind::Corrupt, "{length}");
    }
    let resumed = target.create_image(&image, Some(12 << 20));
    assert_eq!(resumed.unwrap().position(), 12 << 20);
}

#[test]
fn leftover_uploads_are_thrown_away() {
    let server = server();
    let target = target(server.address);
    let begin = |image: &str| {
        let mut sink = target.create_image(&name(image), None).unwrap();
        sink.append(&noise(1, 6 * MIB)).unwrap();
        sink.sync().unwrap();
    };
    for image in [
        "w/s1/a",
        "w/s1/b",
        "w/s1/deep/c",
        "w/s1/d",
        "w/s2/a",
        "w/s2/ab",
    ] {
        begin(image);
    }
    assert_eq!(server.uploads(), 6);
    begin("w/s1/a");
    assert_eq!(server.uploads(), 6, "the old one made place");
    target.abandon_image(&name("w/s2/a")).unwrap();
    assert_eq!(server.uploads(), 5, "w/s2/ab is another one");
    target.delete_folder(&name("w/s1")).unwrap();
    assert_eq!(server.uploads(), 1);
    target.delete_folder(&name("w/s2")).unwrap();
    assert_eq!(server.uploads(), 0);
    assert_eq!(server.keys(), [""; 0]);
}

#[test]
fn a_writer_whose_place_was_taken_publishes_nothing() {
    let server = server();
    let target = target(server.address);
    let image = name("w/v/i");
    let mut old = target.create_image(&image, None).unwrap();
    old.append(&noise(1, 6 * MIB)).unwrap();
    old.sync().unwrap();
    let mut new = target.create_image(&image, None).unwrap();
    assert!(old.finish(&[]).is_err());
    assert_eq!(target.stat(&image).unwrap(), None);
    new.append(b"new").unwrap();
    new.finish(&[]).unwrap();
    assert_eq!(content(&target, &image), b"new");
}

#[test]
fn an_image_that_would_need_larger_parts_is_refused_at_the_start() {
    let server = Server::start(Habits {
        swift_parts: Some(10),
        ..Habits::default()
    });
    let target = target(server.address);
    let image = name("w/v/i");
    assert!(target.create_image_up_to(&image, 45 << 20).is_ok());
    let refused = target.create_image_up_to(&image, 100 << 20).map(|_| ());
    let why = refused.unwrap_err().source.unwrap().to_string();
    assert!(why.contains("at least 12, it is 5"), "{why}");
    let mut sink = target.create_image(&image, None).unwrap();
    let broken = sink.append(&noise(1, 60 * MIB)).unwrap_err();
    let broken = broken.get_ref().unwrap().source().unwrap().to_string();
    assert!(broken.contains("takes 10 parts"), "{broken}");
}

#[test]
fn a_swift_that_does_not_say_it_takes_as_many_parts_as_swift_does() {
    for (is_silent_swift, takes) in [(true, "1000"), (false, "10000")] {
        let server = Server::start(Habits {
            is_silent_swift,
            ..Habits::default()
        });
        let target = target(server.address);
        let refused = target.create_image_up_to(&name("w/v/i"), 1 << 50);
        let why = refused.map(|_| ()).unwrap_err().source.unwrap().to_string();
        assert!(why.contains(&format!("takes {takes} parts")), "{why}");
    }
}

#[test]
fn a_missing_bucket_is_no_empty_one() {
    let server = server();
    let target = S3Target::new(S3Settings {
        bucket: "other".to_owned(),
        ..settings(server.address)
    });
    let target = target.unwrap();
    let object = name("w/o");
    let kinds = [
        target.stat(&object).unwrap_err().kind,
        target.get_object(&object, 1).unwrap_err().kind,
        target.list(None).unwrap_err().kind,
        target.delete(&object).unwrap_err().kind,
        target.put_object(&object, b"1").unwrap_err().kind,
        target.check_writable().unwrap_err().kind,
    ];
    assert_eq!(kinds, [ErrorKind::Unavailable; 6]);
}

#[test]
fn a_target_may_be_used_and_dropped_on_threads_of_another_runtime() {
    let server = server();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let target = target(server.address);
        let used = tokio::task::spawn_blocking(move || {
            target.put_object(&name("w/o"), b"1").unwrap();
            target
        });
        drop(used.await.unwrap());
    });
    assert_eq!(server.keys(), ["cloud/backups/w/o"]);
}

#[test]
fn no_secret_is_shown() {
    let shown = S3Settings {
        secret_access_key: "very-secret".to_owned().into(),
        ..settings("127.0.0.1:1".parse().unwrap())
    };
    let target = S3Target::new(shown.clone()).unwrap();
    let error = target.check_writable().unwrap_err();
    for text in [
        format!("{shown:?}"),
        format!("{target:?}"),
        format!("{error:?}"),
    ] {
        assert!(!text.contains("very-secret"), "{text}");
    }
}

/// The object is whole and what stood beside it is not all gone: there is nothing to go on with, and then
/// nothing is beside it any more.
#[test]
fn what_a_writer_left_beside_a_completed_image_is_removed_by_who_would_go_on() {
    for is_state_left in [true, false] {
        let server = server();
        let (image, head) = (name("w/v/i"), noise(2, 6 * MIB));
        let mut sink = target(server.address).create_image(&image, None).unwrap();
        sink.reserve_head(head.len() as u64).unwrap();
        sink.append(&noise(1, 12 * MIB)).unwrap();
        sink.sync().unwrap();
        let length = sink.position();
        let mut beside = server.contents().objects;
        sink.finish(&head).unwrap();
        let whole = server.contents();

        beside.retain(|key, _| is_state_left || !key.ends_with("/state"));
        assert!(!beside.is_empty());
        let mut left = whole.clone();
        left.objects.extend(beside);
        server.reset(left);
        let error = target(server.address)
            .create_image(&image, Some(length))
            .err()
            .unwrap();
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(server.keys(), ["cloud/backups/w/v/i"]);
        assert_eq!(server.contents().objects.len(), whole.objects.len());
    }
}
