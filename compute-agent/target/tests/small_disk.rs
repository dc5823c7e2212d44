//! A folder on a file system that is full, and on one that is read-only: real ones, in a mount
//! namespace of the test's own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use agent_format::ObjectName;
use agent_target::{DirectoryTarget, ErrorKind, ImageSink, Target};

/// Tells the test that it runs inside the namespace, and where the small disk is.
const INSIDE: &str = "BACKSTAY_TEST_SMALL_DISK";

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn append_until_it_fails(sink: &mut dyn ImageSink) -> ErrorKind {
    for _ in 0..64 {
        if let Err(error) = sink.append(&[1; 65536]).and_then(|()| sink.sync()) {
            return ErrorKind::of(&error);
        }
    }
    unreachable!("4 MiB do not fit into 1 MiB")
}

#[test]
fn a_full_and_a_read_only_disk_are_told_apart_and_lose_nothing() {
    match std::env::var_os(INSIDE) {
        Some(disk) => on_a_small_disk(Path::new(&disk)),
        None => run_inside("a_full_and_a_read_only_disk_are_told_apart_and_lose_nothing"),
    }
}

fn run_inside(test: &str) {
    let disk = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=1m none "$0" && exec "$@""#;
    let status = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(disk.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, disk.path())
        .status()
        .unwrap();
    assert!(status.success());
}

fn on_a_small_disk(disk: &Path) {
    let target = DirectoryTarget::initialise(disk).unwrap();
    assert_eq!(target.capacity().unwrap().unwrap().total_bytes, 1 << 20);
    target.put_object(&name("w/old"), b"kept").unwrap();

    let large = vec![1; 2 << 20];
    let error = target.put_object(&name("w/old"), &large).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Full);
    assert_eq!(target.get_object(&name("w/old"), 9).unwrap(), b"kept");

    let mut sink = target.create_image(&name("w/image"), None).unwrap();
    assert_eq!(append_until_it_fails(&mut *sink), ErrorKind::Full);
    drop(sink);
    assert_eq!(
        target
            .put_object(&name("w/new"), &[1; 65536])
            .unwrap_err()
            .kind,
        ErrorKind::Full
    );
    assert_eq!(target.list(None).unwrap().len(), 1);

    // What failed left nothing behind: with the image given up there is room again.
    target.abandon_image(&name("w/image")).unwrap();
    target
        .put_object(&name("w/new"), &vec![1; 900 << 10])
        .unwrap();
    target.delete(&name("w/new")).unwrap();
    target.check_writable().unwrap();

    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk)
        .status()
        .unwrap();
    assert!(remounted.success());
    let results = [
        target.put_object(&name("w/old"), b"1"),
        target.create_image(&name("w/image"), None).map(drop),
        target.delete(&name("w/old")),
        target.delete_folder(&name("w")),
        target.check_writable(),
    ];
    for result in results {
        assert_eq!(result.unwrap_err().kind, ErrorKind::ReadOnly);
    }
    // What is not there needs no removing, so an undo can end.
    target.delete(&name("w/gone")).unwrap();
    target.delete_folder(&name("gone")).unwrap();
    target.abandon_image(&name("w/gone")).unwrap();
    assert_eq!(target.get_object(&name("w/old"), 9).unwrap(), b"kept");
    assert_eq!(target.list(None).unwrap().len(), 1);
}
