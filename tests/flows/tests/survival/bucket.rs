//! The same with a bucket as target: nothing may be left in it that nobody sees.

use services_db::FlowSubject;
use tests_flows::processes::DeploymentOptions;

use crate::cancellation::cancelled;
use crate::protected::{DATA, MIB, Protected, SLOWLY};
use crate::upload::survives_the_datamover;

const TO_A_BUCKET: DeploymentOptions = DeploymentOptions {
    has_bucket: true,
    ..SLOWLY
};

fn hidden(workload: &Protected) -> Vec<String> {
    let mut keys = workload.site.bucket.as_ref().unwrap().keys();
    keys.retain(|key| key.split('/').any(|part| part.starts_with('.')));
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_kill_of_its_datamover_and_is_restored() {
    let (mut workload, snapshot) = survives_the_datamover(TO_A_BUCKET).await;
    assert_eq!(hidden(&workload), [""; 0]);
    let digests = workload.digests();
    workload.lose().await;
    workload.site.limit_rate(DATA).await;
    let id = workload.site.request_restore(&snapshot).await;
    workload.restored(id, &digests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_cancelled_in_mid_upload_leaves_nothing() {
    let mut workload = Protected::start(TO_A_BUCKET).await;
    let (id, ..) = workload.mid_upload(12 * MIB).await;
    assert_ne!(hidden(&workload), [""; 0]);
    let subject = FlowSubject::Snapshot(id);
    workload.site.db.flow_cancel_request(subject).await.unwrap();
    cancelled(&workload, id).await;
    assert_eq!(hidden(&workload), [""; 0]);
    workload.site.limit_rate(DATA).await;
    let next = workload.site.snapshot(workload.workload, false).await;
    workload.complete(next.id).await;
}
