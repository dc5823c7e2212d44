//! Deleting snapshots and workloads.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use services_types::{FlowId, FlowKind, FlowStatus, SnapshotStatus};
use tests_flows::{ServerSpec, Site, SiteOptions, write_pattern};

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_a_later_one_builds_on_stays_on_the_target_until_that_goes() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let volumes = site.tenant.volumes(&server).await;
    let workload = site.workload(&[server]).await;
    let full = site.snapshot(workload, true).await;
    write_pattern(&site.cloud.volume_path(&volumes[0]), 0, 4096, 5);
    let incremental = site.snapshot(workload, false).await;
    assert_eq!(incremental.status, SnapshotStatus::Available);

    site.delete_snapshot(&full).await;
    assert!(site.db.snapshot_fetch(full.id).await.is_err());
    let of_full = |name: &&String| name.contains(&full.id.to_string());
    assert!(site.objects().iter().any(|name| of_full(&name)));

    site.delete_snapshot(&incremental).await;
    let left: Vec<_> = site
        .objects()
        .into_iter()
        .filter(|name| name.contains("snapshot_"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    let left = site.cloud.leftovers("demo");
    assert!(
        !left.iter().any(|line| line.starts_with("volume snapshot")),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_deletion_may_run_twice() {
    for step in services_engine::step_names(FlowKind::SnapshotDelete) {
        let site = Site::start(SiteOptions::repeating(FlowKind::SnapshotDelete, step)).await;
        let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let workload = site.workload(&[server]).await;
        let full = site.snapshot(workload, true).await;
        site.delete_snapshot(&full).await;
        assert!(site.db.snapshot_fetch(full.id).await.is_err(), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_fails_can_be_asked_for_again() {
    for step in services_engine::step_names(FlowKind::SnapshotDelete) {
        let mut site = Site::start(SiteOptions::failing(FlowKind::SnapshotDelete, step)).await;
        let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let workload = site.workload(&[server]).await;
        let full = site.snapshot(workload, true).await;
        site.delete_snapshot(&full).await;
        let failed = site.db.snapshot_fetch(full.id).await.unwrap();
        assert!(
            failed.error_msg.unwrap().contains("delete it again"),
            "{step}"
        );
        site.stop_engines().await;
        site.add_engine(SiteOptions::default());
        site.delete_snapshot(&full).await;
        assert!(site.db.snapshot_fetch(full.id).await.is_err(), "{step}");
    }
}

/// As a deletion leaves it that broke off behind the manifest, or an undo that could not be completed.
#[tokio::test(flavor = "multi_thread")]
async fn images_without_a_manifest_go_with_their_snapshot() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(&[server]).await;
    let full = site.snapshot(workload, true).await;
    let folder = format!("workload_{workload}/snapshot_{}", full.id);
    let folder = site.target.join(folder);
    std::fs::remove_file(folder.join("manifest.json")).unwrap();
    std::fs::write(folder.join(".unfinished.partial"), b"torn").unwrap();

    site.delete_snapshot(&full).await;
    assert!(site.db.snapshot_fetch(full.id).await.is_err());
    assert!(!folder.exists(), "{:?}", site.objects());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workload_leaves_nothing_behind() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(std::slice::from_ref(&server)).await;
    let full = site.snapshot(workload, true).await;
    site.delete_snapshot(&full).await;

    let flow_id = FlowId::random();
    site.db
        .workload_delete_request(workload, flow_id)
        .await
        .unwrap();
    assert_eq!(site.ended(flow_id).await.status, FlowStatus::Done);
    assert!(site.db.workload_fetch(workload).await.is_err());
    assert_eq!(
        site.db.workload_of_server(server.clone()).await.unwrap(),
        None
    );
    let left: Vec<_> = site
        .objects()
        .into_iter()
        .filter(|name| name.contains("workload_"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    let server = site
        .tenant
        .cloud
        .compute()
        .server_fetch(&server)
        .await
        .unwrap();
    assert_eq!(
        server
            .metadata
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        ["role"]
    );
}
