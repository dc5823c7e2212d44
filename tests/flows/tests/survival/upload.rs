//! Killed in the middle of an upload: it goes on where it was.

use agent_contract::TransferStatus;
use services_db::Snapshot;
use tests_flows::processes::{DatabaseKind, DeploymentOptions};

use crate::protected::{DATA, MIB, Protected, READ_AGAIN, SLOWLY};

/// Every byte was read once: nothing that happened to the others has touched the datamover.
fn assert_undisturbed(status: &TransferStatus) {
    let progress = status.progress;
    assert_eq!(progress.done_bytes, progress.total_bytes);
    assert_eq!(progress.read_since_start_bytes, progress.total_bytes);
    assert!(progress.total_bytes >= DATA);
}

async fn survives_the_engine(options: DeploymentOptions) {
    let mut workload = Protected::start(options).await;
    let (id, flow, _) = workload.mid_upload(2 * MIB).await;
    workload.site.engine.kill();
    workload.site.engine.start();
    workload.complete(id).await;
    let status = workload.ended(flow, "backup").await;
    assert_undisturbed(&status);
    // It was the second claim that asked last, and it began no transfer of its own.
    assert_eq!(workload.site.db.flow_fetch(flow).await.unwrap().epoch, 2);
    assert_eq!(workload.site.cloud.count("POST", "/snapshots"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_kill_of_its_engine() {
    survives_the_engine(SLOWLY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_kill_of_its_engine_on_mariadb() {
    let options = DeploymentOptions {
        database: DatabaseKind::MariaDb,
        ..SLOWLY
    };
    survives_the_engine(options).await;
}

pub(crate) async fn survives_the_datamover(options: DeploymentOptions) -> (Protected, Snapshot) {
    let mut workload = Protected::start(options).await;
    let (id, flow, before) = workload.mid_upload(DATA / 2).await;
    workload.site.datamover.kill();
    workload.site.datamover.start();
    let snapshot = workload.complete(id).await;
    let after = workload.ended(flow, "backup").await.progress;
    assert_eq!(after.done_bytes, after.total_bytes);
    let allowed = after.total_bytes - before.progress.done_bytes + READ_AGAIN;
    assert!(
        after.read_since_start_bytes <= allowed,
        "{before:?} {after:?}"
    );
    assert!(after.read_since_start_bytes > 0);
    (workload, snapshot)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_kill_of_its_datamover_and_does_not_start_over() {
    survives_the_datamover(SLOWLY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_kill_of_the_datamover_api() {
    let mut workload = Protected::start(SLOWLY).await;
    let (id, flow, _) = workload.mid_upload(2 * MIB).await;
    workload.site.datamover_api.kill();
    // The engine has to notice before it is there again.
    workload
        .site
        .engine
        .says("no answer from the datamover API", 1)
        .await;
    workload.site.datamover_api.start();
    workload.complete(id).await;
    assert_undisturbed(&workload.ended(flow, "backup").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_restart_of_rabbitmq() {
    let options = DeploymentOptions {
        has_own_broker: true,
        ..SLOWLY
    };
    let mut workload = Protected::start(options).await;
    let (id, flow, _) = workload.mid_upload(2 * MIB).await;
    workload.site.restart_broker();
    workload.complete(id).await;
    assert_undisturbed(&workload.ended(flow, "backup").await);
    assert_eq!(workload.site.db.flow_fetch(flow).await.unwrap().epoch, 1);
}
