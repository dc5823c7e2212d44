//! The same against the real servers of a cloud.

use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use agent_target::{ErrorKind, Target, conformance};
use agent_target_s3::{S3Settings, S3Target};

use crate::cloud::{Bucket, Store};
use crate::proxy::{Fault, Plan, Proxy};
use crate::site::{MIB, content, name, noise};

fn keeps_the_contract(store: Store) {
    let bucket = Bucket::create(store);
    let case = AtomicU32::new(0);
    conformance::run(|| {
        let case = case.fetch_add(1, Ordering::SeqCst);
        (bucket.target(&format!("case-{case}")), ())
    });
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn radosgw_keeps_the_contract() {
    keeps_the_contract(Store::Radosgw);
}

#[test]
#[ignore = "needs the lab's Swift"]
fn swift_keeps_the_contract() {
    keeps_the_contract(Store::Swift);
}

/// Up in parts with the writer killed twice, down, and changed by a composition.
fn large_images_go_up_down_and_into_others(store: Store) {
    let bucket = Bucket::create(store);
    let (image, changed) = (name("w/s1/v/a"), name("w/s2/v/b"));
    let (head, data) = (noise(1, 5 * MIB), noise(2, 31 * MIB));
    let mut expected = head.clone();
    let mut sink = bucket.target("t").create_image(&image, None).unwrap();
    sink.reserve_head(head.len() as u64).unwrap();
    for piece in data.chunks(13 * MIB) {
        sink.append(piece).unwrap();
        sink.sync().unwrap();
        expected.extend(piece);
        sink.append(&noise(3, 7 * MIB)).unwrap();
        drop(sink);
        let length = expected.len() as u64;
        let target = bucket.target("t");
        sink = target.create_image(&image, Some(length)).unwrap();
    }
    let rest = noise(4, 20 * MIB);
    sink.append(&rest).unwrap();
    expected.extend(rest);
    let target = bucket.target("t");
    assert_eq!(target.stat(&image).unwrap(), None);
    sink.finish(&head).unwrap();
    assert!(content(&target, &image) == expected);
    assert_eq!(bucket.everything(), ["t/w/s1/v/a"]);

    let head = noise(5, 5 * MIB);
    let mut sink = target.compose_image(&changed).unwrap().unwrap();
    sink.reserve_head(head.len() as u64).unwrap();
    sink.append_copy(&image, 5 << 20..21_000_000).unwrap();
    sink.append(&noise(6, MIB)).unwrap();
    sink.append_copy(&image, 22_048_576..expected.len() as u64)
        .unwrap();
    sink.finish(&head).unwrap();
    let composed = [
        &head,
        &expected[5 * MIB..21_000_000],
        &noise(6, MIB),
        &expected[22_048_576..],
    ];
    assert!(content(&target, &changed) == composed.concat());

    let mut sink = target.create_image(&name("w/s2/v/c"), None).unwrap();
    sink.append(&noise(7, 6 * MIB)).unwrap();
    sink.sync().unwrap();
    target.delete_folder(&name("w/s2")).unwrap();
    assert_eq!(bucket.everything(), ["t/w/s1/v/a"]);
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn images_on_radosgw_go_up_down_and_into_others() {
    large_images_go_up_down_and_into_others(Store::Radosgw);
}

#[test]
#[ignore = "needs the lab's Swift"]
fn images_on_swift_go_up_down_and_into_others() {
    large_images_go_up_down_and_into_others(Store::Swift);
}

fn what_is_replaced_is_not_read_on(store: Store) {
    let bucket = Bucket::create(store);
    let target = bucket.target("t");
    let image = name("w/i");
    let mut sink = target.create_image(&image, None).unwrap();
    sink.append(&noise(1, 30 * MIB)).unwrap();
    sink.finish(&[]).unwrap();
    // The first is one of parts, the second is not: servers make their tags differently.
    for seed in 2..4 {
        let open = target.open_image(&image).unwrap();
        let mut buffer = vec![0; 4096];
        open.read_exact_at(&mut buffer, 0).unwrap();
        target.put_object(&image, &noise(seed, 30 * MIB)).unwrap();
        let error = open.read_exact_at(&mut buffer, 29 << 20).unwrap_err();
        assert_eq!(ErrorKind::of(&error), ErrorKind::Unavailable);
    }
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn what_is_replaced_on_radosgw_is_not_read_on() {
    what_is_replaced_is_not_read_on(Store::Radosgw);
}

#[test]
#[ignore = "needs the lab's Swift"]
fn what_is_replaced_on_swift_is_not_read_on() {
    what_is_replaced_is_not_read_on(Store::Swift);
}

#[test]
#[ignore = "needs the lab's Ceph and Swift"]
fn a_wrong_key_is_denied_and_a_missing_bucket_is_said_so() {
    for store in [Store::Radosgw, Store::Swift] {
        let bucket = Bucket::create(store);
        let stranger = S3Target::new(S3Settings {
            secret_access_key: "guessed".to_owned().into(),
            ..bucket.settings("t")
        });
        let denied = stranger.unwrap().check_writable().unwrap_err();
        assert_eq!(denied.kind, ErrorKind::Denied, "{:?}", denied.source);
        let lost = S3Target::new(S3Settings {
            bucket: "no-such-bucket".to_owned(),
            ..bucket.settings("t")
        });
        let lost = lost.unwrap();
        assert_eq!(
            lost.stat(&name("o")).unwrap_err().kind,
            ErrorKind::Unavailable
        );
        assert_eq!(lost.list(None).unwrap_err().kind, ErrorKind::Unavailable);
        bucket.target("t").check_writable().unwrap();
    }
}

#[test]
#[ignore = "needs the lab's Swift"]
fn swift_says_how_many_parts_it_takes() {
    let bucket = Bucket::create(Store::Swift);
    let target = bucket.target("t");
    let refused = target
        .create_image_up_to(&name("w/i"), 100 << 30)
        .map(|_| ());
    let why = refused.unwrap_err().source.unwrap().to_string();
    assert!(why.contains("takes 1000 parts"), "{why}");
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn a_locked_object_stays_until_its_date() {
    let plain = Bucket::create(Store::Radosgw);
    let capabilities = plain.target("t").capabilities().unwrap();
    assert!(!capabilities.has_object_lock && !capabilities.keeps_versions);

    let bucket = Bucket::create_with(Store::Radosgw, true);
    let target = bucket.target("t");
    let capabilities = target.capabilities().unwrap();
    assert!(capabilities.has_object_lock && capabilities.keeps_versions);
    assert!(!capabilities.is_immutable);
    let image = name("w/i");
    let mut sink = target.create_image(&image, None).unwrap();
    sink.append(&noise(1, 6 * MIB)).unwrap();
    sink.finish(&[]).unwrap();
    let retention = target.retention().unwrap();
    assert_eq!(retention.retained_until(&image).unwrap(), None);
    let until = SystemTime::now() + Duration::from_secs(8);
    retention.retain(&image, until).unwrap();
    let found = retention.retained_until(&image).unwrap().unwrap();
    assert!(found.duration_since(until).unwrap_or_default() < Duration::from_secs(1));
    let sooner = retention.retain(&image, until - Duration::from_secs(5));
    assert_eq!(sooner.unwrap_err().kind, ErrorKind::Denied);
    // So that the bucket can be removed.
    let limit = Instant::now() + Duration::from_secs(20);
    while SystemTime::now() < until + Duration::from_secs(1) {
        assert!(Instant::now() < limit);
        thread::sleep(Duration::from_millis(200));
    }
}

fn faults_are_survived(store: Store) {
    let bucket = Bucket::create(store);
    let settings = bucket.settings("t");
    let endpoint = settings.endpoint_url.clone().unwrap();
    let server = endpoint.trim_start_matches("http://");
    let proxy = Proxy::start(server.to_socket_addrs().unwrap().next().unwrap());
    let target = S3Target::new(S3Settings {
        endpoint_url: Some(format!("http://{}", proxy.address)),
        ..settings
    });
    let target = target.unwrap();
    let (head, data) = (noise(1, 5 * MIB), noise(2, 6 * MIB));
    let image = name("w/i");
    let work = || {
        let mut sink = target.create_image(&image, None).unwrap();
        sink.reserve_head(head.len() as u64).unwrap();
        sink.append(&data).unwrap();
        sink.sync().unwrap();
        sink.finish(&head).unwrap();
        assert!(content(&target, &image) == [&head[..], &data].concat());
        target.delete(&image).unwrap();
    };
    work();
    let requests = proxy.requests();
    let faults = [
        Fault::Answer(503, "SlowDown"),
        Fault::CutRequest,
        Fault::CutAnswer,
        Fault::LostAnswer,
    ];
    for fault in faults {
        for request in 1..=requests {
            proxy.plan(Some(Plan {
                fault,
                request,
                times: 1,
            }));
            work();
        }
    }
    proxy.plan(None);
    assert_eq!(bucket.everything(), [""; 0]);
}

#[test]
#[ignore = "needs the lab's Ceph"]
fn faults_between_us_and_radosgw_are_survived() {
    faults_are_survived(Store::Radosgw);
}

#[test]
#[ignore = "needs the lab's Swift"]
fn faults_between_us_and_swift_are_survived() {
    faults_are_survived(Store::Swift);
}
