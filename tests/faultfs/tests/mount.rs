//! A target on such a file system: whole while nothing fails, and well-behaved when it does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say why it is skipped"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use agent_format::ObjectName;
use agent_target::{
    DirectoryTarget, ErrorKind, MountSettings, NfsExport, NfsTarget, Target, conformance,
};
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

/// The export is gone for good (its handle is stale) and the server has it anew.
#[test]
fn a_stale_share_is_unmounted_and_mounted_again() {
    if let Some(why) = tests_faultfs::unavailable() {
        println!("skipped: {why}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (backing, root) = (folder.path().join("backing"), folder.path().join("mounts"));
    fs::create_dir(&backing).unwrap();
    DirectoryTarget::initialise(&backing).unwrap();
    // A mount(8) for which the export is a folder of this host.
    let program = folder.path().join("as-root");
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\necho $1 >>{0}/calls\ncase $1 in\n\
         umount) exec umount -l \"$last\" ;;\nmount) exec mount --bind {0}/backing \"$last\" ;;\nesac\n",
        folder.path().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let settings = MountSettings {
        root,
        prefix: vec![program.display().to_string()],
        ..MountSettings::default()
    };
    let export = NfsExport {
        export: "server:/share".to_owned(),
        options: String::new(),
    };
    let target = NfsTarget::new(export, settings);
    fs::create_dir_all(target.mount_point()).unwrap();
    let stale = FaultyMount::new(&backing, target.mount_point()).unwrap();
    target.put_object(&name("w/a"), b"a").unwrap();
    stale.faults().set([Rule::all(Errno::ESTALE)]);
    assert_eq!(target.get_object(&name("w/a"), 100).unwrap(), b"a");
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(calls, "umount\nmount\n");
    let unmounted = Command::new("umount").arg(target.mount_point()).status();
    assert!(unmounted.unwrap().success());
}
