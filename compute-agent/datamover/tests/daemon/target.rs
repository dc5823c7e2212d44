use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use agent_contract::{TransferState, TransferStatus};

use crate::datamover::{Datamover, LIMIT, backup, new_id, noise, open_to_all};

const MIB: usize = 1 << 20;

fn failure(status: &TransferStatus) -> (&str, &str, bool) {
    match &status.state {
        TransferState::Failed {
            message,
            tenant_message,
            is_transient,
        } => (message, tenant_message, *is_transient),
        other => panic!("{other:?}"),
    }
}

/// Another one over the target's folder, gone with this value.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn over(path: std::path::PathBuf, size: &str) -> Self {
        let options = format!("size={size},mode=0777");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path);
        assert!(mount.status().unwrap().success());
        agent_target::DirectoryTarget::initialise(&path).unwrap();
        Self(path)
    }

    fn grow(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_target_fails_the_backup_and_it_goes_on_when_there_is_room() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: mounting a small target needs root");
        return;
    }
    let datamover = Datamover::start("[transfers]\ncheckpoint_seconds = 0\n").await;
    let mounted = Mounted::over(datamover.path("target"), "12m");
    let bytes = noise(16 * MIB);
    let disk = datamover.make_disk("a", &bytes);
    let (id, job) = (new_id(), backup(&disk, bytes.len(), "w/a"));
    datamover.begin(id, 1, job.clone()).await.unwrap();
    let status = datamover.until_ended(id).await;
    let (message, tenant_message, is_transient) = failure(&status);
    assert_eq!(
        (tenant_message, is_transient),
        ("The backup target is full.", false),
        "{message}"
    );
    assert!(!datamover.path("target/w/a").exists());
    mounted.grow("64m");
    datamover.begin(id, 2, job).await.unwrap();
    let status = datamover.until_ended(id).await;
    assert!(matches!(status.state, TransferState::Done(_)), "{status:?}");
    datamover.compare("w/a", "a");
    drop(datamover);
    drop(mounted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_written_to_is_said_and_not_offered() {
    let datamover = Datamover::start("").await;
    let limit = Instant::now() + LIMIT;
    let offered = |client: &agent_contract::amqp::BusClient| {
        client.hosts().iter().any(|host| host.targets == ["main"])
    };
    while !offered(&datamover.client) {
        assert!(Instant::now() < limit, "{:?}", datamover.client.hosts());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let target = datamover.path("target");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o555)).unwrap();
    let disk = datamover.make_disk("a", &noise(MIB));
    let (id, job) = (new_id(), backup(&disk, MIB, "w/a"));
    datamover.begin(id, 1, job.clone()).await.unwrap();
    let status = datamover.until_ended(id).await;
    let (message, tenant_message, _) = failure(&status);
    assert_eq!(
        tenant_message, "The backup target cannot be written to.",
        "{message}"
    );
    while offered(&datamover.client) {
        assert!(Instant::now() < limit, "{:?}", datamover.client.hosts());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A share that is not mounted: an empty folder of the host's own disk.
    open_to_all(&target);
    fs::rename(target.join(".backstay-target"), target.join("marker")).unwrap();
    datamover.begin(id, 2, job.clone()).await.unwrap();
    let status = datamover.until_ended(id).await;
    let (message, tenant_message, is_transient) = failure(&status);
    assert_eq!(
        tenant_message, "The backup target is not available.",
        "{message}"
    );
    assert!(is_transient && !datamover.path("target/w").exists());
    fs::rename(target.join("marker"), target.join(".backstay-target")).unwrap();
    datamover.begin(id, 2, job).await.unwrap();
    let status = datamover.until_ended(id).await;
    assert!(matches!(status.state, TransferState::Done(_)), "{status:?}");
}
