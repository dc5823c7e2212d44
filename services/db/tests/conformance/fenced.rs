//! An engine that was overtaken does no harm (architecture D10).

use serde_json::json;
use services_db::{
    Conflict, Datastore, Error, Progress, Rebased, RestoreOutcome, Stopped, Verification,
};
use services_types::{
    FlowClaim, FlowId, FlowStatus, RestoreStatus, SnapshotId, SnapshotStatus, SnapshotType,
    Topology, WorkloadStatus,
};

use crate::build::{
    Clock, LEASE, at_once, claim, claimed_restore, claimed_snapshot, conflict, finish, is_fenced,
    outcome, snapshot, upload, workload,
};

fn progress() -> Progress {
    Progress {
        percent: 99,
        message: "late".to_owned(),
        size_bytes: 1,
        uploaded_bytes: 1,
    }
}

fn restored() -> RestoreOutcome {
    RestoreOutcome {
        servers: Vec::new(),
        size_bytes: 0,
        uploaded_bytes: 0,
        message: String::new(),
        warning: None,
        changes_members: true,
    }
}

/// All that any flow may write.
async fn general(store: &Datastore, old: &FlowClaim) -> Vec<Result<(), Error>> {
    vec![
        store.flow_renew(old, LEASE).await,
        store.flow_release(old).await,
        store.flow_save_dag(old, &json!({})).await,
        store.flow_event_append(old, &json!({})).await,
        store.flow_finish(old, FlowStatus::Done, None).await,
        store.workload_lock(old).await,
        store.workload_unlock(old).await,
        store.workload_fail(old, "late").await,
        store.volume_anchors_clear(old).await.map(|_| ()),
        store.volume_anchors_forget(old, Vec::new()).await,
    ]
}

/// All that the flow which makes a snapshot may write.
async fn of_snapshot(store: &Datastore, old: &FlowClaim) -> Vec<Result<(), Error>> {
    let incremental = SnapshotType::Incremental;
    vec![
        store
            .snapshot_set_status(old, SnapshotStatus::Uploading)
            .await,
        store.snapshot_set_host(old, "late").await,
        store.snapshot_set_chain(old, incremental, None).await,
        store.snapshot_set_target(old, "late").await,
        store.snapshot_set_progress(old, progress()).await,
        store.snapshot_topology_set(old, &Topology::default()).await,
        store.snapshot_vms_set(old, Vec::new()).await,
        store.snapshot_publish(old, outcome(), None).await,
        store.snapshot_fail(old, Stopped::Failed, "late").await,
        store
            .volume_anchors_replace(old, Vec::new())
            .await
            .map(|_| ()),
    ]
}

async fn of_restore(store: &Datastore, old: &FlowClaim) -> Vec<Result<(), Error>> {
    vec![
        store.restore_begin(old, "late").await,
        store.restore_set_progress(old, progress()).await,
        store.restore_publish(old, restored()).await,
        store.restore_fail(old, Stopped::Failed, "late").await,
    ]
}

async fn of_snapshot_delete(store: &Datastore, old: &FlowClaim) -> Vec<Result<(), Error>> {
    let rebased = Rebased {
        id: SnapshotId::random(),
        snapshot_type: SnapshotType::Full,
        backing_snapshot_id: None,
        size_bytes: 1,
    };
    vec![
        store.snapshot_deleted(old, false, None).await,
        store.snapshot_rebase(old, rebased).await,
        store.snapshot_delete_fail(old, true, "late").await,
    ]
}

async fn of_snapshot_verify(store: &Datastore, old: &FlowClaim) -> Vec<Result<(), Error>> {
    vec![
        store.snapshot_verify_progress(old, 1, "late").await,
        store.snapshot_verified(old, Verification::default()).await,
        store.snapshot_verify_fail(old, "late").await,
    ]
}

fn all_fenced(outcomes: &[Result<(), Error>]) {
    for (number, outcome) in outcomes.iter().enumerate() {
        assert!(is_fenced(outcome), "number {number}: {outcome:?}");
    }
}

async fn overtake(store: &Datastore, clock: &Clock, old: &FlowClaim) -> FlowClaim {
    clock.forward(LEASE);
    let new = store.flow_claim_next("engine-2", LEASE).await.unwrap();
    let new = new.expect("the lease has run out");
    assert_eq!((new.flow_id, new.epoch), (old.flow_id, old.epoch + 1));
    new
}

pub(crate) async fn an_overtaken_engine_writes_nothing(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a"]).await;
    let (id, old) = claimed_snapshot(&store, workload_id).await;
    store.workload_lock(&old).await.unwrap();
    upload(&store, &old).await;
    let new = overtake(&store, &clock, &old).await;
    let before = store.snapshot_fetch(id).await.unwrap();
    let workload_before = store.workload_fetch(workload_id).await.unwrap();
    all_fenced(&general(&store, &old).await);
    all_fenced(&of_snapshot(&store, &old).await);
    assert_eq!(store.snapshot_fetch(id).await.unwrap(), before);
    assert_eq!(
        store.workload_fetch(workload_id).await.unwrap(),
        workload_before
    );
    assert!(store.flow_events(old.flow_id).await.unwrap().is_empty());
    store.snapshot_publish(&new, outcome(), None).await.unwrap();
    finish(&store, &new).await;

    let (restore_id, old) = claimed_restore(&store, id).await;
    let new = overtake(&store, &clock, &old).await;
    all_fenced(&of_restore(&store, &old).await);
    let restoring = store.restore_fetch(restore_id).await.unwrap();
    assert_eq!(restoring.status, RestoreStatus::Restoring);
    store
        .restore_fail(&new, Stopped::Failed, "x")
        .await
        .unwrap();
    finish(&store, &new).await;

    let flow_id = FlowId::random();
    store.snapshot_verify_request(id, flow_id).await.unwrap();
    let old = claim(&store, flow_id).await;
    let new = overtake(&store, &clock, &old).await;
    all_fenced(&of_snapshot_verify(&store, &old).await);
    store.snapshot_verify_fail(&new, "x").await.unwrap();
    finish(&store, &new).await;

    let flow_id = FlowId::random();
    store.snapshot_delete_request(id, flow_id).await.unwrap();
    let old = claim(&store, flow_id).await;
    let new = overtake(&store, &clock, &old).await;
    all_fenced(&of_snapshot_delete(&store, &old).await);
    all_fenced(&[store.snapshot_forget_images(&old, id).await]);
    store.snapshot_deleted(&new, false, None).await.unwrap();
    finish(&store, &new).await;

    let flow_id = FlowId::random();
    store
        .workload_delete_request(workload_id, flow_id)
        .await
        .unwrap();
    let old = claim(&store, flow_id).await;
    overtake(&store, &clock, &old).await;
    all_fenced(&[store.workload_deleted(&old).await]);
    let stays = store.workload_fetch(workload_id).await.unwrap();
    assert_eq!(stays.status, WorkloadStatus::Deleting);
}

pub(crate) async fn a_released_and_a_finished_claim_write_nothing(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (_, released) = claimed_snapshot(&store, workload_id).await;
    store.flow_release(&released).await.unwrap();
    all_fenced(&general(&store, &released).await);
    let again = claim(&store, released.flow_id).await;
    finish(&store, &again).await;
    all_fenced(&general(&store, &again).await);
    all_fenced(&of_snapshot(&store, &again).await);
}

pub(crate) async fn a_claim_does_only_what_its_kind_may(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (_, making) = claimed_snapshot(&store, workload_id).await;
    let mut outcomes = of_restore(&store, &making).await;
    outcomes.extend(of_snapshot_delete(&store, &making).await);
    outcomes.push(store.workload_deleted(&making).await);
    store
        .snapshot_fail(&making, Stopped::Failed, "x")
        .await
        .unwrap();
    finish(&store, &making).await;
    let id = snapshot(&store, workload_id).await;
    let (_, restoring) = claimed_restore(&store, id).await;
    outcomes.extend(of_snapshot(&store, &restoring).await);
    for outcome in outcomes {
        let refused = conflict(outcome);
        assert!(matches!(refused, Conflict::WrongFlow { .. }), "{refused:?}");
    }
}

/// Whatever the order in which they come, the log has no event of the old claim after one of the new.
pub(crate) async fn an_overtaken_engine_that_writes_at_the_same_time_changes_nothing(
    store: Datastore,
) {
    let (steered, clock) = Clock::steering(&store);
    let workload_id = workload(&steered, &["a"]).await;
    let (_, old) = claimed_snapshot(&steered, workload_id).await;
    clock.forward(LEASE);
    let tasks = (0..6).map(|number| {
        let (store, old) = (steered.clone(), old.clone());
        async move {
            if number != 3 {
                return store.flow_event_append(&old, &json!("old")).await;
            }
            let new = store.flow_claim_next("engine-2", LEASE).await?;
            let new = new.expect("the lease has run out");
            store.flow_event_append(&new, &json!("new")).await
        }
    });
    for outcome in at_once(tasks).await {
        assert!(outcome.is_ok() || is_fenced(&outcome), "{outcome:?}");
    }
    let events = store.flow_events(old.flow_id).await.unwrap();
    assert_eq!(events.last().unwrap().event, json!("new"));
}
