//! One flow at a time works on a workload.

use services_db::{Conflict, Datastore, Stopped, WorkloadChange};
use services_types::{FlowId, WorkloadStatus};

use crate::build::{claimed_snapshot, conflict, member, new_snapshot, workload};

pub(crate) async fn one_flow_at_a_time_holds_the_lock(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    let (_, first) = claimed_snapshot(&store, id).await;
    store
        .snapshot_fail(&first, Stopped::Failed, "x")
        .await
        .unwrap();
    let (_, second) = claimed_snapshot(&store, id).await;
    store.workload_lock(&second).await.unwrap();
    store.workload_lock(&second).await.unwrap();
    let locked = store.workload_fetch(id).await.unwrap();
    assert_eq!(locked.status, WorkloadStatus::Locked);
    assert_eq!(locked.locked_by_flow, Some(second.flow_id));
    let refused = conflict(store.workload_lock(&first).await);
    assert_eq!(refused, Conflict::Locked { workload_id: id });
    let refused = conflict(store.workload_fail(&first, "x").await);
    assert_eq!(refused, Conflict::Locked { workload_id: id });
    store.workload_unlock(&first).await.unwrap();
    let still = store.workload_fetch(id).await.unwrap();
    assert_eq!(
        still.status,
        WorkloadStatus::Locked,
        "only its own flow unlocks it"
    );
    store.workload_unlock(&second).await.unwrap();
    store.workload_unlock(&second).await.unwrap();
    let free = store.workload_fetch(id).await.unwrap();
    assert_eq!(
        (free.status, free.locked_by_flow),
        (WorkloadStatus::Available, None)
    );
}

pub(crate) async fn members_stay_while_a_flow_works(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    let (_, claim) = claimed_snapshot(&store, id).await;
    store.workload_lock(&claim).await.unwrap();
    let change = WorkloadChange {
        members: Some(vec![member("b")]),
        ..WorkloadChange::default()
    };
    let refused = conflict(store.workload_update(id, change).await);
    assert_eq!(refused, Conflict::WorkloadState(WorkloadStatus::Locked));
    let change = WorkloadChange {
        description: Some("other".to_owned()),
        ..WorkloadChange::default()
    };
    store.workload_update(id, change).await.unwrap();
    assert_eq!(store.workload_fetch(id).await.unwrap().description, "other");
    for refused in [
        store.workload_set_available(id).await,
        store.workload_set_error(id, "x").await,
    ] {
        let refused = conflict(refused);
        assert!(
            matches!(refused, Conflict::Transition { .. }),
            "{refused:?}"
        );
    }
}

pub(crate) async fn a_flow_that_cannot_put_it_right_leaves_an_error(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    let (_, claim) = claimed_snapshot(&store, id).await;
    store.workload_lock(&claim).await.unwrap();
    store
        .workload_fail(&claim, "volume v-1 was left")
        .await
        .unwrap();
    let wrong = store.workload_fetch(id).await.unwrap();
    assert_eq!(wrong.status, WorkloadStatus::Error);
    assert_eq!(wrong.locked_by_flow, None);
    assert_eq!(wrong.error_msg.as_deref(), Some("volume v-1 was left"));
    let refused = conflict(store.workload_lock(&claim).await);
    assert_eq!(refused, Conflict::WorkloadState(WorkloadStatus::Error));
}

pub(crate) async fn an_owner_can_unlock_and_no_second_operation_begins(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    let (_, claim) = claimed_snapshot(&store, id).await;
    store.workload_lock(&claim).await.unwrap();
    store.workload_unlock_by_owner(id).await.unwrap();
    store.workload_unlock_by_owner(id).await.unwrap();
    let workload = store.workload_fetch(id).await.unwrap();
    assert_eq!(workload.status, WorkloadStatus::Available);
    let second = store.snapshot_request(new_snapshot(id), FlowId::random());
    assert_eq!(conflict(second.await), Conflict::SnapshotRunning);
    // The flow itself is not disturbed.
    store
        .snapshot_fail(&claim, Stopped::Failed, "x")
        .await
        .unwrap();
}
