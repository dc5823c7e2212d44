//! A target that is full, or read-only: said to the tenant, nothing left, nothing lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use services_types::SnapshotStatus;
use tests_flows::processes::{DeploymentOptions, MountedTarget};

use crate::protected::{MIB, Protected, SLOWLY};

#[derive(Clone, Copy)]
enum Trouble {
    Full,
    ReadOnly,
}

impl Trouble {
    fn begins(self, target: &MountedTarget) {
        match self {
            Self::Full => target.fill(),
            Self::ReadOnly => target.set_read_only(true),
        }
    }

    fn ends(self, target: &MountedTarget) {
        match self {
            Self::Full => target.empty(),
            Self::ReadOnly => target.set_read_only(false),
        }
    }
}

async fn survives(trouble: Trouble, words: &str) {
    let mut workload = Protected::with_little_data(DeploymentOptions::default()).await;
    let Some(target) = workload.site.mount_target("128m") else {
        eprintln!("skipped: mounting a target of the test's own needs root");
        return;
    };
    let first = workload.site.snapshot(workload.workload, true).await;
    let first = workload.complete(first.id).await;
    let digests = workload.digests();

    workload.write_data(1);
    trouble.begins(&target);
    let failed = workload.site.snapshot(workload.workload, false).await;
    let message = failed.error_msg.unwrap_or_default();
    assert_eq!(failed.status, SnapshotStatus::Error);
    assert!(message.contains(words), "{message}");
    assert!(
        !message.contains('/') && !message.contains("Not everything"),
        "{message}"
    );
    workload.assert_nothing_left(failed.id, 2);
    // It was known before anything was made.
    assert_eq!(workload.site.cloud.count("POST", "/snapshots"), 2);

    // What was backed up before can be had although nothing can be written.
    workload.lose().await;
    workload.site.restart_datamover_without_target().await;
    let id = workload.site.request_restore(&first).await;
    workload.restored(id, &digests).await;

    trouble.ends(&target);
    let made = workload.site.db.restored_servers(id).await.unwrap();
    workload.volumes = workload.site.tenant.volumes(&made[0].server_id).await;
    workload.write_data(2);
    let next = workload.site.snapshot(workload.workload, false).await;
    workload.complete(next.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_target_is_said_and_the_next_snapshot_works_when_there_is_space() {
    survives(Trouble::Full, "the backup target is full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_target_is_said_and_the_next_snapshot_works_when_it_is_not() {
    survives(Trouble::ReadOnly, "the backup target is read-only").await;
}

/// The upload itself uses the space up.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fills_up_in_mid_upload_has_its_space_back() {
    let workload = Protected::start(DeploymentOptions::default()).await;
    let Some(target) = workload.site.mount_target("24m") else {
        eprintln!("skipped: mounting a target of the test's own needs root");
        return;
    };
    let failed = workload.site.snapshot(workload.workload, true).await;
    let message = failed.error_msg.unwrap_or_default();
    assert!(message.contains("The backup target is full"), "{message}");
    workload.assert_nothing_left(failed.id, 0);
    target.resize("128m");
    let next = workload.site.snapshot(workload.workload, true).await;
    workload.complete(next.id).await;
}

/// What the datamover began cannot be completed, and cannot be removed either.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_the_target_does_not_let_go_is_named_and_all_else_is_undone() {
    let options = DeploymentOptions {
        transfer_silence: Some(Duration::from_secs(5)),
        ..SLOWLY
    };
    let workload = Protected::start(options).await;
    let (id, ..) = workload.mid_upload(2 * MIB).await;
    let snapshot = id.to_string();
    for object in workload.site.objects() {
        let folder = Path::new(&object).parent().unwrap();
        if object.contains(&snapshot) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
        }
    }
    let failed = workload.site.settled_snapshot(id).await;
    let message = failed.error_msg.unwrap_or_default();
    assert_eq!(failed.status, SnapshotStatus::Error, "{message}");
    assert!(
        message.contains("The backup target cannot be written to"),
        "{message}"
    );
    let of_disk = format!("image of disk vdb of server {}", workload.server);
    assert!(message.contains(&of_disk), "{message}");
    assert!(!message.contains('/'), "{message}");
    assert_eq!(workload.volume_snapshots(), 0);
    let next = workload.site.snapshot(workload.workload, false).await;
    workload.complete(next.id).await;
}
