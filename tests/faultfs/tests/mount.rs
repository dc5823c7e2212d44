//! A target on such a file system: whole while nothing fails, and well-behaved when it does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

use std::fs;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use agent_format::ObjectName;
use agent_target::{DirectoryTarget, ErrorKind, Target, conformance};
use fuser::Errno;
use tempfile::TempDir;
use tests_faultfs::{Call, FaultyMount, Rule};

const LIMIT: Duration = Duration::from_secs(60);

struct Share {
    mount: FaultyMount,
    _folder: TempDir,
}

impl Share {
    /// None, with the reason printed, where nothing can be mounted.
    fn mounted() -> Option<Self> {
        if let Some(why) = tests_faultfs::unavailable() {
            println!("skipped: {why}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (backing, point) = (folder.path().join("backing"), folder.path().join("share"));
        fs::create_dir(&backing).unwrap();
        fs::create_dir(&point).unwrap();
        let mount = FaultyMount::new(&backing, &point).unwrap();
        DirectoryTarget::initialise(mount.point()).unwrap();
        Some(Self {
            mount,
            _folder: folder,
        })
    }

    fn target(&self) -> DirectoryTarget {
        DirectoryTarget::new(self.mount.point())
    }
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

#[test]
fn a_share_that_works_passes_the_suite_of_targets() {
    if Share::mounted().is_none() {
        return;
    }
    conformance::run(|| {
        let share = Share::mounted().unwrap();
        (share.target(), share)
    });
}

#[test]
fn a_stale_handle_is_told_as_a_target_that_is_not_available() {
    let Some(share) = Share::mounted() else {
        return;
    };
    let target = share.target();
    target.put_object(&name("w/a"), b"before").unwrap();
    share.mount.faults().set([Rule::all(Errno::ESTALE)]);
    let errors = [
        target.put_object(&name("w/b"), b"x").unwrap_err(),
        target.get_object(&name("w/a"), 100).unwrap_err(),
        target.list(None).unwrap_err(),
        target.check_writable().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    }
    share.mount.faults().clear();
    assert_eq!(target.get_object(&name("w/a"), 100).unwrap(), b"before");
    assert_eq!(target.stat(&name("w/b")).unwrap(), None);
}

#[test]
fn an_object_is_replaced_whole_or_not_at_all_whichever_call_fails() {
    let Some(share) = Share::mounted() else {
        return;
    };
    let target = share.target();
    let object = name("w/object");
    target.put_object(&object, b"old").unwrap();
    for errno in [Errno::ENOSPC, Errno::EIO, Errno::EROFS] {
        for call in [
            Call::Open,
            Call::Create,
            Call::Write,
            Call::Sync,
            Call::Rename,
        ] {
            for after in 0..3 {
                share.mount.faults().set([Rule::of(call, after, errno)]);
                let result = target.put_object(&object, b"new");
                share.mount.faults().clear();
                let found = target.get_object(&object, 100).unwrap();
                match result {
                    Ok(()) => assert_eq!(found, b"new"),
                    // The last step, making the rename durable, may fail after it was done.
                    Err(_) => assert!(found == b"old" || found == b"new", "{call:?} {after}"),
                }
                target.put_object(&object, b"old").unwrap();
            }
        }
    }
}

#[test]
fn a_call_that_hangs_goes_on_when_the_server_is_back() {
    let Some(share) = Share::mounted() else {
        return;
    };
    let target = share.target();
    share.mount.faults().set([Rule::hang()]);
    let (sender, done) = channel();
    let writer = std::thread::spawn(move || {
        sender
            .send(target.put_object(&name("w/late"), b"late"))
            .unwrap();
    });
    let began = Instant::now();
    while share.mount.faults().hanging() == 0 {
        assert!(began.elapsed() < LIMIT, "nothing hangs");
        std::thread::yield_now();
    }
    assert!(done.try_recv().is_err());
    share.mount.faults().clear();
    done.recv_timeout(LIMIT).unwrap().unwrap();
    writer.join().unwrap();
    let target = share.target();
    assert_eq!(target.get_object(&name("w/late"), 100).unwrap(), b"late");
}
