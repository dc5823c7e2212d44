//! Which snapshot's images build on which.

use std::time::Duration;

use services_db::{Datastore, Rebased, Snapshot, Stopped};
use services_types::{FlowId, SnapshotId, SnapshotType, WorkloadId};

use crate::build::{
    Clock, claim, claimed_snapshot, finish, is_not_found, outcome, snapshot, upload, workload,
};

fn ids(snapshots: Vec<Snapshot>) -> Vec<SnapshotId> {
    snapshots.into_iter().map(|snapshot| snapshot.id).collect()
}

async fn incremental(store: &Datastore, workload: WorkloadId, backing: SnapshotId) -> SnapshotId {
    let (id, claim) = claimed_snapshot(store, workload).await;
    let is = SnapshotType::Incremental;
    store
        .snapshot_set_chain(&claim, is, Some(backing))
        .await
        .unwrap();
    upload(store, &claim).await;
    store
        .snapshot_publish(&claim, outcome(), None)
        .await
        .unwrap();
    finish(store, &claim).await;
    id
}

async fn delete(store: &Datastore, id: SnapshotId, is_kept_for_chain: bool) {
    let flow_id = FlowId::random();
    store.snapshot_delete_request(id, flow_id).await.unwrap();
    let claim = claim(store, flow_id).await;
    store
        .snapshot_deleted(&claim, is_kept_for_chain, None)
        .await
        .unwrap();
    finish(store, &claim).await;
}

pub(crate) async fn an_incremental_builds_on_the_newest_available(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a"]).await;
    let newest = async || {
        store
            .snapshot_newest_available(workload_id)
            .await
            .unwrap()
            .map(|it| it.id)
    };
    assert_eq!(newest().await, None);
    snapshot(&store, workload_id).await;
    clock.forward(Duration::from_secs(1));
    let second = snapshot(&store, workload_id).await;
    assert_eq!(newest().await, Some(second));
    clock.forward(Duration::from_secs(1));
    let (_, failing) = claimed_snapshot(&store, workload_id).await;
    assert_eq!(
        newest().await,
        Some(second),
        "one that runs is nothing to build on"
    );
    store
        .snapshot_fail(&failing, Stopped::Failed, "x")
        .await
        .unwrap();
    assert_eq!(newest().await, Some(second));
}

pub(crate) async fn a_deleted_one_stays_in_the_chain_while_it_is_needed(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a"]).await;
    let full = snapshot(&store, workload_id).await;
    clock.forward(Duration::from_secs(1));
    let middle = incremental(&store, workload_id, full).await;
    clock.forward(Duration::from_secs(1));
    let last = incremental(&store, workload_id, middle).await;
    let kept = async || ids(store.snapshots_kept_for_chain(workload_id).await.unwrap());
    assert!(kept().await.is_empty());
    delete(&store, full, true).await;
    delete(&store, middle, true).await;
    assert_eq!(kept().await, [full, middle]);
    assert!(is_not_found(&store.snapshot_fetch(full).await));
    let chain = store.snapshot_chain(last).await.unwrap();
    assert!(chain[2].deleted_at.is_some() && chain[2].is_kept_for_chain);
    assert_eq!(ids(chain), [last, middle, full]);
    assert_eq!(ids(store.snapshot_children(full).await.unwrap()), [middle]);
    assert_eq!(ids(store.snapshot_children(middle).await.unwrap()), [last]);

    let flow_id = FlowId::random();
    store.snapshot_delete_request(last, flow_id).await.unwrap();
    let claim = claim(&store, flow_id).await;
    for id in [middle, full] {
        store.snapshot_forget_images(&claim, id).await.unwrap();
    }
    store.snapshot_forget_images(&claim, full).await.unwrap();
    store.snapshot_deleted(&claim, false, None).await.unwrap();
    assert!(kept().await.is_empty());
    assert!(store.snapshot_children(full).await.unwrap().is_empty());
    assert!(is_not_found(&store.snapshot_chain(last).await));
}

pub(crate) async fn one_that_failed_is_still_told_among_those_that_were_to_build_on_it(
    store: Datastore,
) {
    let workload_id = workload(&store, &["a"]).await;
    let full = snapshot(&store, workload_id).await;
    let (_, claim) = claimed_snapshot(&store, workload_id).await;
    let is = SnapshotType::Incremental;
    store
        .snapshot_set_chain(&claim, is, Some(full))
        .await
        .unwrap();
    assert_eq!(store.snapshot_children(full).await.unwrap().len(), 1);
    store
        .snapshot_fail(&claim, Stopped::Cancelled, "x")
        .await
        .unwrap();
    assert_eq!(store.snapshot_children(full).await.unwrap().len(), 1);
}

pub(crate) async fn incrementals_are_counted_since_the_last_full_one_whatever_was_merged(
    store: Datastore,
) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a"]).await;
    let full = snapshot(&store, workload_id).await;
    clock.forward(Duration::from_secs(1));
    let middle = incremental(&store, workload_id, full).await;
    clock.forward(Duration::from_secs(1));
    let last = incremental(&store, workload_id, middle).await;
    let flow_id = FlowId::random();
    store.snapshot_delete_request(full, flow_id).await.unwrap();
    let claim = claim(&store, flow_id).await;
    let to = Rebased {
        id: middle,
        snapshot_type: SnapshotType::Full,
        backing_snapshot_id: None,
        size_bytes: 5 << 40,
    };
    store.snapshot_rebase(&claim, to.clone()).await.unwrap();
    store.snapshot_rebase(&claim, to).await.unwrap();
    store.snapshot_deleted(&claim, false, None).await.unwrap();
    finish(&store, &claim).await;
    let middle = store.snapshot_fetch(middle).await.unwrap();
    assert_eq!(middle.snapshot_type, SnapshotType::Full);
    assert_eq!(
        (middle.backing_snapshot_id, middle.size_bytes),
        (None, 5 << 40)
    );
    assert_eq!(
        ids(store.snapshot_chain(last).await.unwrap()),
        [last, middle.id]
    );
    let count = async |id| {
        let snapshot = store.snapshot_fetch(id).await.unwrap();
        snapshot.incrementals_since_full
    };
    assert_eq!((count(middle.id).await, count(last).await), (1, 2));
    clock.forward(Duration::from_secs(1));
    let next = incremental(&store, workload_id, last).await;
    assert_eq!(count(next).await, 3);
    assert_eq!(count(snapshot(&store, workload_id).await).await, 0);
}
