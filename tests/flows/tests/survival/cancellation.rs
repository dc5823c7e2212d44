//! A snapshot that its owner does not want any more.

use services_db::FlowSubject;
use services_types::{SnapshotId, SnapshotStatus, WorkloadStatus};

use crate::protected::{DATA, MIB, Protected, SLOWLY};

/// It ends as cancelled with nothing left, and the next snapshot can be taken.
pub(crate) async fn cancelled(workload: &Protected, id: SnapshotId) {
    let snapshot = workload.site.settled_snapshot(id).await;
    assert_eq!(snapshot.status, SnapshotStatus::Cancelled, "{snapshot:?}");
    workload.assert_nothing_left(id, 0);
    let row = workload.site.db.workload_fetch(workload.workload).await;
    assert_eq!(row.unwrap().status, WorkloadStatus::Available);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_cancelled_in_mid_upload_leaves_nothing() {
    let mut workload = Protected::start(SLOWLY).await;
    let (id, ..) = workload.mid_upload(2 * MIB).await;
    let subject = FlowSubject::Snapshot(id);
    workload.site.db.flow_cancel_request(subject).await.unwrap();
    cancelled(&workload, id).await;
    workload.site.limit_rate(DATA).await;
    let next = workload.site.snapshot(workload.workload, false).await;
    workload.complete(next.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_cancelled_while_its_datamover_is_away_leaves_nothing_when_that_is_back() {
    let mut workload = Protected::start(SLOWLY).await;
    let (id, ..) = workload.mid_upload(2 * MIB).await;
    workload.site.datamover.kill();
    let subject = FlowSubject::Snapshot(id);
    workload.site.db.flow_cancel_request(subject).await.unwrap();
    workload.site.engine.says("step is undone", 1).await;
    workload.site.datamover.start();
    cancelled(&workload, id).await;
}
