//! The deletion of workloads.

use services_db::{Conflict, Datastore};
use services_types::{FlowId, WorkloadStatus};

use crate::build::{claim, claimed_snapshot, conflict, finish, is_not_found, snapshot, workload};

pub(crate) async fn a_deleted_workload_frees_its_servers_and_is_gone(store: Datastore) {
    let id = workload(&store, &["a", "b"]).await;
    let flow_id = FlowId::random();
    store.workload_delete_request(id, flow_id).await.unwrap();
    let deleting = store.workload_fetch(id).await.unwrap();
    assert_eq!(deleting.status, WorkloadStatus::Deleting);
    let claim = claim(&store, flow_id).await;
    store.workload_deleted(&claim).await.unwrap();
    store.workload_deleted(&claim).await.unwrap();
    finish(&store, &claim).await;
    assert!(is_not_found(&store.workload_fetch(id).await));
    assert!(store.workload_list(None).await.unwrap().is_empty());
    assert!(store.workload_members(id).await.unwrap().is_empty());
    workload(&store, &["a", "b"]).await;
}

pub(crate) async fn one_with_snapshots_stays(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    snapshot(&store, id).await;
    let refused = store.workload_delete_request(id, FlowId::random()).await;
    assert_eq!(conflict(refused), Conflict::HasSnapshots { count: 1 });
    let stays = store.workload_fetch(id).await.unwrap();
    assert_eq!(stays.status, WorkloadStatus::Available);
}

pub(crate) async fn one_that_is_worked_on_stays(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    let (_, claim) = claimed_snapshot(&store, id).await;
    store.workload_lock(&claim).await.unwrap();
    let refused = store.workload_delete_request(id, FlowId::random()).await;
    let locked = Conflict::WorkloadState(WorkloadStatus::Locked);
    assert_eq!(conflict(refused), locked);
}

pub(crate) async fn a_failed_deletion_can_be_asked_for_again(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    let flow_id = FlowId::random();
    store.workload_delete_request(id, flow_id).await.unwrap();
    let refused = store.workload_delete_request(id, FlowId::random()).await;
    let deleting = Conflict::WorkloadState(WorkloadStatus::Deleting);
    assert_eq!(conflict(refused), deleting);
    let claim = claim(&store, flow_id).await;
    store
        .workload_fail(&claim, "Keystone is down")
        .await
        .unwrap();
    let refused = conflict(store.workload_deleted(&claim).await);
    assert_eq!(refused, Conflict::WorkloadState(WorkloadStatus::Error));
    finish(&store, &claim).await;
    store
        .workload_delete_request(id, FlowId::random())
        .await
        .unwrap();
    let again = store.workload_fetch(id).await.unwrap();
    assert_eq!(
        (again.status, again.error_msg),
        (WorkloadStatus::Deleting, None)
    );
}
