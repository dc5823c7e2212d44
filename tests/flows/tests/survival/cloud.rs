//! A cloud that changes its mind: tokens and trusts that end, volumes that vanish, quotas, bad days.

use std::time::Duration;

use services_openstack::fake::{Effect, Fault};
use services_types::{SnapshotId, SnapshotStatus, WorkloadStatus};
use tests_flows::processes::DeploymentOptions;
use tests_flows::wait_until;

use crate::protected::{MIB, Protected, SLOWLY};

/// The snapshot failed with a message that has all of these words in it and no path; nothing is left,
/// and the workload is free.
async fn failed(workload: &Protected, id: SnapshotId, words: &[&str]) {
    let snapshot = workload.site.settled_snapshot(id).await;
    let message = snapshot.error_msg.unwrap_or_default();
    assert_eq!(snapshot.status, SnapshotStatus::Error, "{message}");
    for word in words {
        assert!(message.contains(word), "{message}");
    }
    assert!(
        !message.contains("/tmp") && !message.contains("Not everything"),
        "{message}"
    );
    workload.assert_nothing_left(id, 0);
    let row = workload.site.db.workload_fetch(workload.workload).await;
    assert_eq!(row.unwrap().status, WorkloadStatus::Available);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_end_in_mid_upload_are_renewed_by_everybody() {
    let mut workload = Protected::start(SLOWLY).await;
    let (id, ..) = workload.mid_upload(2 * MIB).await;
    workload.site.cloud.expire_tokens();
    // What the datamover API remembers of good tokens goes with it.
    workload.site.datamover_api.kill();
    workload.site.datamover_api.start();
    workload.complete(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_that_is_gone_is_said_in_words_that_help() {
    let workload = Protected::with_little_data(DeploymentOptions::default()).await;
    let tenant = &workload.site.tenant;
    let trust = workload
        .site
        .db
        .trust_fetch(&tenant.user_id, &tenant.project_id);
    let trust = trust.await.unwrap().unwrap();
    workload.site.cloud.lose(trust.trust_id.as_str());
    let snapshot = workload.site.snapshot(workload.workload, true).await;
    failed(&workload, snapshot.id, &["trust", "trust-create"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_deleted_before_its_cinder_snapshot_is_named() {
    let workload = Protected::with_little_data(DeploymentOptions::default()).await;
    let slow = Effect::Delay(Duration::from_secs(1));
    workload
        .site
        .cloud
        .inject(Fault::on("POST", "/snapshots", slow));
    let id = workload
        .site
        .request_snapshot(workload.workload, true)
        .await;
    wait_until("the first Cinder snapshot to be asked for", || async {
        workload.site.cloud.count("POST", "/snapshots") == 1
    })
    .await;
    let volume = workload.volumes[1].to_string();
    workload.site.cloud.lose(&volume);
    failed(&workload, id, &[&volume, "deleted"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_vanishes_with_its_cinder_snapshot_in_mid_upload_is_said() {
    let mut workload = Protected::start(SLOWLY).await;
    let (id, ..) = workload.mid_upload(2 * MIB).await;
    // A process that has the file open would not notice.
    workload.site.datamover.kill();
    let volume = &workload.volumes[1];
    for line in workload.site.cloud.leftovers("demo") {
        if let Some(snapshot) = line.strip_prefix("volume snapshot ") {
            let snapshot = snapshot.split(' ').next().unwrap();
            let of_volume = workload
                .site
                .cloud
                .snapshot_path(volume, &snapshot.parse().unwrap());
            if of_volume.exists() {
                workload.site.cloud.lose(snapshot);
            }
        }
    }
    workload.site.cloud.lose(volume.as_str());
    workload.site.datamover.start();
    failed(&workload, id, &["The transfer of disk vdb of server"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_half_way_is_said_and_nothing_is_kept() {
    let workload = Protected::with_little_data(DeploymentOptions::default()).await;
    workload.site.cloud.set_storage_quota(100, 1000, 1);
    let snapshot = workload.site.snapshot(workload.workload, true).await;
    failed(&workload, snapshot.id, &["quota", "snapshots"]).await;
    assert_eq!(workload.site.cloud.count("POST", "/snapshots"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cinder_that_is_away_for_a_while_is_asked_again() {
    let workload = Protected::with_little_data(DeploymentOptions::default()).await;
    for method in ["POST", "GET", "DELETE"] {
        let away = Fault::on(method, "/volume/", Effect::Status(503)).times(3);
        workload.site.cloud.inject(away);
    }
    let snapshot = workload.site.snapshot(workload.workload, true).await;
    workload.complete(snapshot.id).await;
}
