//! Killed while a restore fills volumes: it goes on where it was.

use agent_format::Digest;
use services_db::Snapshot;
use tests_flows::processes::DeploymentOptions;

use crate::protected::{DATA, MIB, Protected, RATE, READ_AGAIN};

/// A snapshot taken fast, then the server is lost, and disks are moved slowly.
async fn lost(options: DeploymentOptions) -> (Protected, Snapshot, Vec<Digest>) {
    let mut workload = Protected::start(options).await;
    let snapshot = workload.site.snapshot(workload.workload, true).await;
    let snapshot = workload.complete(snapshot.id).await;
    let digests = workload.digests();
    workload.lose().await;
    workload.site.limit_rate(RATE).await;
    workload.site.until_target_is_offered().await;
    (workload, snapshot, digests)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_survives_a_kill_of_its_engine() {
    let (mut workload, snapshot, digests) = lost(DeploymentOptions::default()).await;
    let (id, flow, _) = workload.mid_fill(&snapshot, 2 * MIB).await;
    workload.site.engine.kill();
    workload.site.engine.start();
    workload.restored(id, &digests).await;
    let progress = workload.ended(flow, "restore").await.progress;
    assert_eq!(progress.read_since_start_bytes, progress.total_bytes);
    assert!(progress.total_bytes >= DATA);
    assert_eq!(workload.site.db.flow_fetch(flow).await.unwrap().epoch, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_survives_a_kill_of_its_datamover_and_does_not_start_over() {
    let (mut workload, snapshot, digests) = lost(DeploymentOptions::default()).await;
    let (id, flow, before) = workload.mid_fill(&snapshot, DATA / 2).await;
    workload.site.datamover.kill();
    workload.site.datamover.start();
    workload.restored(id, &digests).await;
    let after = workload.ended(flow, "restore").await.progress;
    assert_eq!(after.done_bytes, after.total_bytes);
    let allowed = after.total_bytes - before.progress.done_bytes + READ_AGAIN;
    assert!(
        after.read_since_start_bytes <= allowed,
        "{before:?} {after:?}"
    );
    assert!(after.read_since_start_bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_survives_a_kill_of_the_datamover_api_and_a_restart_of_rabbitmq() {
    let options = DeploymentOptions {
        has_own_broker: true,
        ..DeploymentOptions::default()
    };
    let (mut workload, snapshot, digests) = lost(options).await;
    let (id, flow, _) = workload.mid_fill(&snapshot, 2 * MIB).await;
    workload.site.datamover_api.kill();
    workload.site.restart_broker();
    workload.site.datamover_api.start();
    workload.restored(id, &digests).await;
    let progress = workload.ended(flow, "restore").await.progress;
    assert_eq!(progress.read_since_start_bytes, progress.total_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_begins_while_the_datamover_api_is_away_waits_for_it() {
    let mut workload = Protected::with_little_data(DeploymentOptions::default()).await;
    let snapshot = workload.site.snapshot(workload.workload, true).await;
    let snapshot = workload.complete(snapshot.id).await;
    let digests = workload.digests();
    workload.lose().await;
    workload.site.datamover_api.kill();
    let id = workload.site.request_restore(&snapshot).await;
    let engine = &workload.site.engine;
    engine
        .says("a service is away, the step is run again", 1)
        .await;
    workload.site.datamover_api.start();
    workload.restored(id, &digests).await;
}
