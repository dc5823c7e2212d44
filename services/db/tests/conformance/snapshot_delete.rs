//! The deletion of snapshots.

use services_db::{Conflict, Datastore, Prune, SnapshotFilter, Stopped};
use services_types::{FlowId, FlowRequest, SnapshotId, SnapshotStatus, WorkloadStatus};

use crate::build::{
    claim, claimed_restore, claimed_snapshot, conflict, finish, is_not_found, new_restore,
    new_snapshot, outcome, snapshot, upload, workload,
};

pub(crate) async fn a_deleted_snapshot_is_gone_and_its_workload_free(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let id = snapshot(&store, workload_id).await;
    let flow_id = FlowId::random();
    store.snapshot_delete_request(id, flow_id).await.unwrap();
    let deleting = store.snapshot_fetch(id).await.unwrap();
    assert_eq!(deleting.status, SnapshotStatus::Deleting);
    let claim = claim(&store, flow_id).await;
    store.workload_lock(&claim).await.unwrap();
    store.snapshot_deleted(&claim, false, None).await.unwrap();
    store.snapshot_deleted(&claim, false, None).await.unwrap();
    assert!(is_not_found(&store.snapshot_fetch(id).await));
    let listed = store
        .snapshot_list(SnapshotFilter::default())
        .await
        .unwrap();
    assert!(listed.is_empty());
    let free = store.workload_fetch(workload_id).await.unwrap();
    assert_eq!(free.status, WorkloadStatus::Available);
    store
        .workload_delete_request(workload_id, FlowId::random())
        .await
        .unwrap();
}

pub(crate) async fn one_operation_at_a_time(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (one, other) = (
        snapshot(&store, workload_id).await,
        snapshot(&store, workload_id).await,
    );
    let delete = async |id| conflict(store.snapshot_delete_request(id, FlowId::random()).await);
    let (_, running) = claimed_snapshot(&store, workload_id).await;
    assert_eq!(delete(one).await, Conflict::SnapshotRunning);
    store
        .snapshot_fail(&running, Stopped::Failed, "x")
        .await
        .unwrap();
    finish(&store, &running).await;
    let (_, restoring) = claimed_restore(&store, other).await;
    assert_eq!(delete(one).await, Conflict::Busy);
    store
        .restore_fail(&restoring, Stopped::Failed, "x")
        .await
        .unwrap();
    finish(&store, &restoring).await;
    store
        .snapshot_delete_request(one, FlowId::random())
        .await
        .unwrap();
    assert_eq!(delete(one).await, Conflict::Busy);
    assert_eq!(delete(other).await, Conflict::Busy);
    let new = new_snapshot(workload_id);
    let refused = store.snapshot_request(new, FlowId::random()).await;
    assert_eq!(conflict(refused), Conflict::Busy);
    let refused = store
        .restore_request(new_restore(other), FlowId::random())
        .await;
    assert_eq!(conflict(refused), Conflict::Busy);
}

pub(crate) async fn a_failed_deletion_leaves_it_restorable_or_in_error(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let id = snapshot(&store, workload_id).await;
    for (is_restorable, status) in [
        (true, SnapshotStatus::Available),
        (false, SnapshotStatus::Error),
    ] {
        let flow_id = FlowId::random();
        store.snapshot_delete_request(id, flow_id).await.unwrap();
        let claim = claim(&store, flow_id).await;
        store.workload_lock(&claim).await.unwrap();
        let why = "half of it is gone";
        store
            .snapshot_delete_fail(&claim, is_restorable, why)
            .await
            .unwrap();
        store
            .snapshot_delete_fail(&claim, is_restorable, why)
            .await
            .unwrap();
        finish(&store, &claim).await;
        let left = store.snapshot_fetch(id).await.unwrap();
        assert_eq!(
            (left.status, left.error_msg),
            (status, Some(why.to_owned()))
        );
        let free = store.workload_fetch(workload_id).await.unwrap();
        assert_eq!(free.status, WorkloadStatus::Available);
    }
}

pub(crate) async fn only_a_settled_one_is_deleted(store: Datastore) {
    let unknown = store
        .snapshot_delete_request(SnapshotId::random(), FlowId::random())
        .await;
    assert!(is_not_found(&unknown));
    let workload_id = workload(&store, &["a"]).await;
    let (id, running) = claimed_snapshot(&store, workload_id).await;
    let refused = store.snapshot_delete_request(id, FlowId::random()).await;
    assert_eq!(conflict(refused), Conflict::SnapshotRunning);
    store
        .snapshot_fail(&running, Stopped::Cancelled, "x")
        .await
        .unwrap();
    store.workload_set_error(workload_id, "x").await.unwrap();
    let refused = store.snapshot_delete_request(id, FlowId::random()).await;
    assert_eq!(
        conflict(refused),
        Conflict::WorkloadState(WorkloadStatus::Error)
    );
    store.workload_set_available(workload_id).await.unwrap();
    store
        .snapshot_delete_request(id, FlowId::random())
        .await
        .unwrap();
}

pub(crate) async fn what_retention_takes_next_keeps_the_workload_locked(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let old = [
        snapshot(&store, workload_id).await,
        snapshot(&store, workload_id).await,
    ];
    let (made, making) = claimed_snapshot(&store, workload_id).await;
    store.workload_lock(&making).await.unwrap();
    upload(&store, &making).await;
    let next = |snapshot_id| Prune {
        snapshot_id,
        flow_id: FlowId::random(),
    };
    let first = next(old[0]);
    for _ in 0..2 {
        store
            .snapshot_publish(&making, outcome(), Some(first))
            .await
            .unwrap();
    }
    finish(&store, &making).await;
    let status = async |id| store.snapshot_fetch(id).await.unwrap().status;
    let of_workload = async || store.workload_fetch(workload_id).await.unwrap().status;
    assert_eq!(status(made).await, SnapshotStatus::Available);
    assert_eq!(status(old[0]).await, SnapshotStatus::Deleting);
    assert_eq!(of_workload().await, WorkloadStatus::Locked);
    let refused = store
        .snapshot_request(new_snapshot(workload_id), FlowId::random())
        .await;
    assert_eq!(conflict(refused), Conflict::Busy);

    let deleting = claim(&store, first.flow_id).await;
    let request = FlowRequest::SnapshotDelete {
        snapshot_id: old[0],
        workload_id,
        is_by_retention: true,
    };
    assert_eq!(deleting.request, request);
    store.workload_lock(&deleting).await.unwrap();
    let second = next(old[1]);
    for _ in 0..2 {
        store
            .snapshot_deleted(&deleting, false, Some(second))
            .await
            .unwrap();
    }
    finish(&store, &deleting).await;
    assert_eq!(of_workload().await, WorkloadStatus::Locked);
    let deleting = claim(&store, second.flow_id).await;
    store.workload_lock(&deleting).await.unwrap();
    store
        .snapshot_deleted(&deleting, false, None)
        .await
        .unwrap();
    assert_eq!(of_workload().await, WorkloadStatus::Available);
}

pub(crate) async fn what_retention_cannot_have_lets_the_workload_go(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let id = snapshot(&store, workload_id).await;
    let flow_id = FlowId::random();
    store.snapshot_delete_request(id, flow_id).await.unwrap();
    let deleting = claim(&store, flow_id).await;
    store.workload_lock(&deleting).await.unwrap();
    let gone_already = Prune {
        snapshot_id: id,
        flow_id: FlowId::random(),
    };
    store
        .snapshot_deleted(&deleting, false, Some(gone_already))
        .await
        .unwrap();
    let free = store.workload_fetch(workload_id).await.unwrap();
    assert_eq!(free.status, WorkloadStatus::Available);
}
