//! Flows: claimed, taken over, logged, stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use services_db::{Conflict, Datastore, FlowSubject};
use services_types::{FlowId, FlowKind, FlowStatus, RestoreId, SnapshotId};

use crate::build::{
    Clock, LEASE, at_once, claim, claimed_restore, claimed_snapshot, conflict, is_fenced,
    is_not_found, new_snapshot, snapshot, workload,
};

/// As many workloads, each with a requested snapshot; the flows oldest first.
async fn flows(store: &Datastore, clock: &Clock, count: usize) -> Vec<FlowId> {
    let mut ids = Vec::new();
    for number in 0..count {
        let server = format!("server-{number}");
        let new = new_snapshot(workload(store, &[&server]).await);
        let id = FlowId::random();
        store.snapshot_request(new, id).await.unwrap();
        clock.forward(Duration::from_millis(1));
        ids.push(id);
    }
    ids
}

pub(crate) async fn the_oldest_is_claimed_first(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    assert_eq!(store.flow_claim_next("e1", LEASE).await.unwrap(), None);
    let ids = flows(&store, &clock, 3).await;
    for id in ids {
        let claim = store.flow_claim_next("e1", LEASE).await.unwrap().unwrap();
        assert_eq!((claim.flow_id, claim.epoch), (id, 1));
        let flow = store.flow_fetch(id).await.unwrap();
        assert_eq!(flow.request, claim.request);
        assert_eq!(flow.project_id, claim.project_id);
        assert_eq!(flow.lease_holder.as_deref(), Some("e1"));
        assert_eq!(flow.lease_expires_at, Some(clock.now() + LEASE));
        assert_eq!(flow.attempt_count, 1);
    }
    assert_eq!(store.flow_claim_next("e1", LEASE).await.unwrap(), None);
}

pub(crate) async fn of_many_claimers_each_flow_has_one(store: Datastore) {
    let (steered, clock) = Clock::steering(&store);
    let ids = flows(&steered, &clock, 4).await;
    let tasks = (0..8).map(|number| {
        let store = store.clone();
        async move {
            let holder = format!("engine-{number}");
            let mut claimed = Vec::new();
            while let Some(claim) = store.flow_claim_next(&holder, LEASE).await.unwrap() {
                claimed.push(claim.flow_id);
            }
            claimed
        }
    });
    let claimed = at_once(tasks).await.concat();
    assert_eq!(claimed.len(), ids.len(), "none is claimed twice");
    let claimed: BTreeSet<_> = claimed.into_iter().collect();
    assert_eq!(claimed, ids.into_iter().collect());
}

pub(crate) async fn a_claim_ends_with_its_lease_unless_it_is_renewed(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let ids = flows(&store, &clock, 1).await;
    let first = claim(&store, ids[0]).await;
    clock.forward(LEASE - Duration::from_secs(1));
    store.flow_renew(&first, LEASE).await.unwrap();
    clock.forward(LEASE - Duration::from_secs(1));
    assert_eq!(store.flow_claim_next("e2", LEASE).await.unwrap(), None);
    clock.forward(Duration::from_secs(1));
    let second = store.flow_claim_next("e2", LEASE).await.unwrap().unwrap();
    assert_eq!((second.flow_id, second.epoch), (ids[0], 2));
    assert!(is_fenced(&store.flow_renew(&first, LEASE).await));
    store.flow_renew(&second, LEASE).await.unwrap();
    let flow = store.flow_fetch(ids[0]).await.unwrap();
    assert_eq!((flow.epoch, flow.attempt_count), (2, 2));
    assert_eq!(flow.lease_holder.as_deref(), Some("e2"));
}

pub(crate) async fn released_it_is_claimed_by_the_next(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let ids = flows(&store, &clock, 1).await;
    let first = claim(&store, ids[0]).await;
    store.flow_release(&first).await.unwrap();
    assert!(is_fenced(&store.flow_renew(&first, LEASE).await));
    let second = store.flow_claim_next("e2", LEASE).await.unwrap().unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
}

pub(crate) async fn finished_it_is_claimed_by_nobody(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    for (status, outcome) in [
        (FlowStatus::Done, None),
        (FlowStatus::Unwound, Some("quota")),
        (FlowStatus::Stuck, Some("volume v-1 was left")),
    ] {
        let server = status.as_str();
        let new = new_snapshot(workload(&store, &[server]).await);
        let id = FlowId::random();
        store.snapshot_request(new, id).await.unwrap();
        let claim = claim(&store, id).await;
        store.flow_finish(&claim, status, outcome).await.unwrap();
        clock.forward(LEASE * 2);
        assert_eq!(store.flow_claim_next("e2", LEASE).await.unwrap(), None);
        let flow = store.flow_fetch(id).await.unwrap();
        assert_eq!((flow.status, flow.outcome.as_deref()), (status, outcome));
        assert_eq!(flow.lease_holder, None);
    }
}

pub(crate) async fn its_log_is_kept_in_order_across_claims(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let id = flows(&store, &clock, 1).await[0];
    assert_eq!(store.flow_dag(id).await.unwrap(), None);
    assert!(is_not_found(&store.flow_dag(FlowId::random()).await));
    let first = claim(&store, id).await;
    store
        .flow_save_dag(&first, &json!({"nodes": []}))
        .await
        .unwrap();
    store
        .flow_save_dag(&first, &json!({"nodes": [1]}))
        .await
        .unwrap();
    for number in 0..10 {
        store
            .flow_event_append(&first, &json!({"n": number}))
            .await
            .unwrap();
    }
    store.flow_release(&first).await.unwrap();
    let second = store.flow_claim_next("e2", LEASE).await.unwrap().unwrap();
    store
        .flow_event_append(&second, &json!({"n": 10}))
        .await
        .unwrap();
    let events = store.flow_events(id).await.unwrap();
    let written: Vec<_> = events
        .iter()
        .map(|it| it.event["n"].as_i64().unwrap())
        .collect();
    assert_eq!(written, (0..11).collect::<Vec<_>>());
    assert!(events.is_sorted_by(|one, next| one.seq < next.seq));
    assert_eq!(events[0].created_at, clock.now());
    assert_eq!(
        store.flow_dag(id).await.unwrap(),
        Some(json!({"nodes": [1]}))
    );
    assert!(
        store
            .flow_events(FlowId::random())
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn it_is_asked_to_stop_by_any_of_its_names(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let first = snapshot(&store, workload_id).await;
    let refused = store
        .flow_cancel_request(FlowSubject::Snapshot(first))
        .await;
    assert_eq!(conflict(refused), Conflict::Ended);
    let (running, claim) = claimed_snapshot(&store, workload_id).await;
    let is_asked = async |id| store.flow_is_cancel_requested(id).await.unwrap();
    assert!(!is_asked(claim.flow_id).await);
    for subject in [
        FlowSubject::Snapshot(running),
        FlowSubject::Flow(claim.flow_id),
    ] {
        store.flow_cancel_request(subject).await.unwrap();
        assert!(is_asked(claim.flow_id).await);
    }
    store.flow_renew(&claim, LEASE).await.unwrap();
    let cancelled = services_db::Stopped::Cancelled;
    store
        .snapshot_fail(&claim, cancelled, "as asked")
        .await
        .unwrap();
    let (restore_id, restoring) = claimed_restore(&store, first).await;
    store
        .flow_cancel_request(FlowSubject::Restore(restore_id))
        .await
        .unwrap();
    assert!(is_asked(restoring.flow_id).await);
    for unknown in [
        FlowSubject::Flow(FlowId::random()),
        FlowSubject::Snapshot(SnapshotId::random()),
        FlowSubject::Restore(RestoreId::random()),
    ] {
        assert!(is_not_found(&store.flow_cancel_request(unknown).await));
    }
    assert!(is_not_found(
        &store.flow_is_cancel_requested(FlowId::random()).await
    ));
}

pub(crate) async fn it_is_found_by_what_it_works_on(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a"]).await;
    let id = snapshot(&store, workload_id).await;
    clock.forward(Duration::from_secs(1));
    let made = store.flow_of_snapshot(id).await.unwrap();
    assert_eq!(made.request.kind(), FlowKind::SnapshotCreate);
    let (restore_id, claim) = claimed_restore(&store, id).await;
    let restoring = store.flow_of_restore(restore_id).await.unwrap();
    assert_eq!(restoring.id, claim.flow_id);
    let failed = services_db::Stopped::Failed;
    store.restore_fail(&claim, failed, "x").await.unwrap();
    let deletion = FlowId::random();
    store.snapshot_delete_request(id, deletion).await.unwrap();
    assert_eq!(store.flow_of_snapshot(id).await.unwrap().id, deletion);
    let cancelled = store.flow_cancel_request(FlowSubject::Snapshot(id)).await;
    assert_eq!(
        conflict(cancelled),
        Conflict::Ended,
        "a deletion is not cancelled"
    );
    assert!(is_not_found(
        &store.flow_of_snapshot(SnapshotId::random()).await
    ));
    assert!(is_not_found(
        &store.flow_of_restore(RestoreId::random()).await
    ));
    assert!(is_not_found(&store.flow_fetch(FlowId::random()).await));
}
