//! With a `sudo` of our own that notes what it is told, and plays the kernel and the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use agent_format::ObjectName;
use tempfile::TempDir;

use super::{MountSettings, NfsExport, NfsTarget};
use crate::{ErrorKind, Target};

const EXPORT: &str = "10.10.2.20:/upstream";
/// As operators of the layout know it.
const FOLDER: &str = "MTAuMTAuMi4yMDovdXBzdHJlYW0=";

struct Host {
    folder: TempDir,
}

impl Host {
    /// `server` is what the server does: shell text; `$last` is the mount point.
    fn new(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >>{at}/calls\nfor last; do :; done\n\
             case $1 in\n\
             umount) grep -v \" $last \" {at}/mountinfo >{at}/left; mv {at}/left {at}/mountinfo ;;\n\
             mount) {server} ;;\nesac\n"
        );
        let program = folder.path().join("sudo");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("mountinfo"), "").unwrap();
        fs::create_dir(folder.path().join("mounts")).unwrap();
        Self { folder }
    }

    fn that_mounts() -> Self {
        Self::new(
            "echo \"9 1 0:1 / $last rw - nfs4 x rw\" >>${0%/*}/mountinfo; : >$last/.backstay-target",
        )
    }

    fn target(&self) -> NfsTarget {
        self.target_within(Duration::from_secs(60))
    }

    fn target_within(&self, limit: Duration) -> NfsTarget {
        let export = NfsExport {
            export: EXPORT.to_owned(),
            options: "nolock,soft,timeo=180,intr,lookupcache=none".to_owned(),
        };
        let settings = MountSettings {
            root: self.path("mounts"),
            prefix: vec![self.path("sudo").display().to_string()],
            limit,
            mountinfo: self.path("mountinfo"),
        };
        NfsTarget::new(export, settings)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn object() -> ObjectName {
    ObjectName::new("workload_1/workload_db").unwrap()
}

#[test]
fn an_export_is_mounted_when_it_is_needed_and_once() {
    let host = Host::that_mounts();
    let target = host.target();
    assert!(host.calls().is_empty());
    target.put_object(&object(), b"{}").unwrap();
    target.check_writable().unwrap();
    let point = host.path("mounts").join(FOLDER);
    assert_eq!(target.mount_point(), point);
    let expected = format!(
        "mount -t nfs -o nolock,soft,timeo=180,intr,lookupcache=none {EXPORT} {}",
        point.display()
    );
    assert_eq!(host.calls(), [expected]);
    assert!(point.join("workload_1/workload_db").exists());
}

#[test]
fn a_mounted_export_can_all_that_a_folder_can() {
    crate::conformance::run(|| {
        let host = Host::that_mounts();
        (host.target(), host)
    });
    let host = Host::that_mounts();
    let target = host.target();
    let mut image = target.create_image(&object(), None).unwrap();
    image.append(b"image").unwrap();
    image.finish(&[]).unwrap();
    assert!(target.update_image(&object()).unwrap().is_some());
}

#[test]
fn a_server_that_refuses_is_named_with_its_words_and_left_alone_for_a_while() {
    let host = Host::new("echo 'mount.nfs: access denied by server' >&2; exit 32");
    let target = host.target();
    let error = target.check_writable().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(error.name, EXPORT);
    let why = error.source.unwrap().to_string();
    assert!(why.contains("access denied by server"), "{why}");
    assert!(target.check_writable().is_err());
    assert_eq!(host.calls().len(), 1);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let host = Host::new("exec sleep 1000");
    let began = Instant::now();
    let target = host.target_within(Duration::from_millis(200));
    let error = target.check_writable().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_share_that_is_mounted_but_is_no_target_is_not_mounted_again() {
    let host = Host::new("echo \"9 1 0:1 / $last rw - nfs4 x rw\" >>${0%/*}/mountinfo");
    let target = host.target();
    for _ in 0..2 {
        let error = target.check_writable().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        let why = error.source.unwrap().to_string();
        assert!(why.contains(".backstay-target"), "{why}");
    }
    assert_eq!(host.calls().len(), 1);
}

#[test]
fn an_operator_declares_an_export_a_target() {
    let host = Host::new("echo \"9 1 0:1 / $last rw - nfs4 x rw\" >>${0%/*}/mountinfo");
    let target = host.target();
    assert!(target.check_writable().is_err());
    let export = NfsExport {
        export: EXPORT.to_owned(),
        options: String::new(),
    };
    let settings = MountSettings {
        root: host.path("mounts"),
        mountinfo: host.path("mountinfo"),
        ..MountSettings::default()
    };
    NfsTarget::initialise(export, settings).unwrap();
    target.check_writable().unwrap();
}
