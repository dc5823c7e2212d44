//! Engines that die, stop for a while, or are told to end.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on may panic"
)]

use std::time::Duration;

use services_types::SnapshotStatus;
use tests_flows::{ServerSpec, Site, SiteOptions, wait_until, write_pattern};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_of_an_engine_that_ends_is_finished_by_another() {
    // Long enough that no engine which is slow to end sees the end of it.
    let slowly = SiteOptions {
        rate_limit_bytes_per_second: Some(MIB),
        ..SiteOptions::default()
    };
    let mut site = Site::start(slowly).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let volumes = site.tenant.volumes(&server).await;
    write_pattern(&site.cloud.volume_path(&volumes[1]), 0, 16 << 20, 7);
    let workload = site.workload(&[server]).await;
    let id = site.request_snapshot(workload, true).await;
    wait_until("the upload to be under way", || async {
        site.db.snapshot_fetch(id).await.unwrap().uploaded_bytes > 0
    })
    .await;
    site.stop_engines().await;
    assert_eq!(
        site.db.snapshot_fetch(id).await.unwrap().status,
        SnapshotStatus::Uploading
    );
    site.add_engine(SiteOptions::default());
    let snapshot = site.settled_snapshot(id).await;
    assert_eq!(
        (snapshot.status, snapshot.error_msg),
        (SnapshotStatus::Available, None)
    );
    let left = site.cloud.leftovers("demo");
    let snapshots = left
        .iter()
        .filter(|line| line.starts_with("volume snapshot"))
        .count();
    assert_eq!(snapshots, 2, "{left:?}");
}

/// Two engines hold the same database; the cloud is slow, so the second one is not idle by chance.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_engines_one_runs_each_flow() {
    let mut site = Site::start(SiteOptions::default()).await;
    site.add_engine(SiteOptions::default());
    site.cloud.inject(
        services_openstack::fake::Fault::on(
            "GET",
            "/servers/",
            services_openstack::fake::Effect::Delay(Duration::from_millis(300)),
        )
        .times(20),
    );
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(&[server]).await;
    let snapshot = site.snapshot(workload, true).await;
    assert_eq!(snapshot.status, SnapshotStatus::Available);
    assert_eq!(site.cloud.count("POST", "/snapshots"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_never_ends_is_given_up_and_the_workload_is_free() {
    let mut site = Site::without_engine(&SiteOptions::default()).await;
    let server = site.tenant.server(&ServerSpec::with_two_disks("db1")).await;
    let workload = site.workload(&[server]).await;
    let id = site.request_snapshot(workload, true).await;
    for _ in 0..200 {
        let claim = site
            .db
            .flow_claim_next("dies", Duration::from_secs(60))
            .await
            .unwrap();
        site.db.flow_release(&claim.unwrap()).await.unwrap();
    }
    site.add_engine(SiteOptions::default());
    let snapshot = site.settled_snapshot(id).await;
    assert_eq!(snapshot.status, SnapshotStatus::Error);
    assert!(
        snapshot
            .error_msg
            .unwrap()
            .contains("could not be brought to an end")
    );
    assert_eq!(
        site.snapshot(workload, true).await.status,
        SnapshotStatus::Available
    );
}
