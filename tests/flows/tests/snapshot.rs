//! Snapshots: what they hold, what they leave in the cloud, and what a failure leaves.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use services_types::{FlowKind, SnapshotStatus, SnapshotType};
use tests_flows::{ServerSpec, Site, SiteOptions, write_pattern};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_and_an_incremental_leave_one_cinder_snapshot_a_volume() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let volumes = site.tenant.volumes(&server).await;
    write_pattern(&site.cloud.volume_path(&volumes[1]), 3 * MIB, 300_000, 7);
    let workload = site.workload(&[server]).await;

    let full = site.snapshot(workload, true).await;
    assert_eq!(
        (full.status, full.error_msg),
        (SnapshotStatus::Available, None)
    );
    assert_eq!(full.snapshot_type, SnapshotType::Full);

    write_pattern(&site.cloud.volume_path(&volumes[1]), 9 * MIB, 70_000, 9);
    let incremental = site.snapshot(workload, false).await;
    assert_eq!(
        (incremental.status, incremental.error_msg),
        (SnapshotStatus::Available, None)
    );
    assert_eq!(incremental.snapshot_type, SnapshotType::Incremental);
    assert_eq!(incremental.backing_snapshot_id, Some(full.id));
    assert!(incremental.size_bytes < full.size_bytes);

    let left = site.cloud.leftovers("demo");
    let snapshots = left
        .iter()
        .filter(|line| line.starts_with("volume snapshot"))
        .count();
    assert_eq!(snapshots, 2, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_whose_cinder_snapshot_is_gone_is_compared_and_says_so() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(&[server]).await;
    site.snapshot(workload, true).await;
    for anchor in site.db.volume_anchors_fetch(workload).await.unwrap() {
        site.cloud.lose(anchor.volume_snapshot_id.as_str());
    }
    let next = site.snapshot(workload, false).await;
    assert_eq!(next.status, SnapshotStatus::Available);
    assert_eq!(next.snapshot_type, SnapshotType::Incremental);
    let warning = next.warning_msg.unwrap();
    assert!(
        warning.contains("is gone: the volume was read whole and compared"),
        "{warning}"
    );
}

/// An incremental could be made, and never be restored.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_lost_an_image_is_not_built_upon() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(&[server]).await;
    let full = site.snapshot(workload, true).await;
    let second = site.snapshot(workload, false).await;
    assert_eq!(second.snapshot_type, SnapshotType::Incremental);
    let of_full = |name: &String| name.contains(&full.id.to_string());
    let index = site.objects().into_iter().filter(of_full);
    let index = index.into_iter().find(|name| name.ends_with(".index"));
    let image = index.unwrap().trim_end_matches(".index").to_owned();
    std::fs::remove_file(site.target.join(image)).unwrap();

    let third = site.snapshot(workload, false).await;
    assert_eq!(third.status, SnapshotStatus::Available);
    assert_eq!(third.snapshot_type, SnapshotType::Full);
    let warning = third.warning_msg.unwrap();
    assert!(warning.contains("cannot be built upon"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_named_and_the_workload_is_free_again() {
    let site = Site::start(SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(std::slice::from_ref(&server)).await;
    site.cloud.lose(server.as_str());
    let snapshot = site.snapshot(workload, true).await;
    assert_eq!(snapshot.status, SnapshotStatus::Error);
    assert_eq!(
        snapshot.error_msg.unwrap(),
        format!("Unable to find Virtual Machine '{server}' in nova inventory")
    );
    let workload = site.db.workload_fetch(workload).await.unwrap();
    assert_eq!(workload.status, services_types::WorkloadStatus::Available);
}

/// Each step fails in turn: nothing is left in the cloud or on the target, the row says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_at_any_step_leaves_nothing() {
    for step in services_engine::step_names(FlowKind::SnapshotCreate) {
        let site = Site::start(SiteOptions::failing(FlowKind::SnapshotCreate, step)).await;
        let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let workload = site.workload(&[server]).await;
        let before = (site.cloud.leftovers("demo"), site.objects());
        let snapshot = site.snapshot(workload, true).await;
        assert_eq!(snapshot.status, SnapshotStatus::Error, "{step}");
        assert!(snapshot.error_msg.unwrap().contains(step), "{step}");
        assert_eq!(site.cloud.leftovers("demo"), before.0, "{step}");
        let objects = site.objects();
        let foreign: Vec<_> = objects
            .iter()
            .filter(|name| name.contains("snapshot_"))
            .collect();
        assert_eq!(foreign, Vec::<&String>::new(), "{step}");
        assert_eq!(
            site.db.volume_anchors_fetch(workload).await.unwrap().len(),
            0,
            "{step}"
        );
    }
}

/// Each step is run twice in turn, as after a crash between its work and its record.
#[tokio::test(flavor = "multi_thread")]
async fn every_step_may_run_twice() {
    for step in services_engine::step_names(FlowKind::SnapshotCreate) {
        let site = Site::start(SiteOptions::repeating(FlowKind::SnapshotCreate, step)).await;
        let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
        let workload = site.workload(&[server]).await;
        let snapshot = site.snapshot(workload, true).await;
        assert_eq!(
            (snapshot.status, snapshot.error_msg),
            (SnapshotStatus::Available, None),
            "{step}"
        );
        let left = site.cloud.leftovers("demo");
        let snapshots = left
            .iter()
            .filter(|line| line.starts_with("volume snapshot"))
            .count();
        assert_eq!(snapshots, 2, "{step}: {left:?}");
    }
}
