//! Rows that checks start from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::json;
use services_db::{
    Conflict, Datastore, Error, Member, NewRestore, NewSnapshot, NewWorkload, SnapshotOutcome,
};
use services_types::{
    FlowClaim, FlowId, FlowStatus, RestoreId, RestoreKind, RestoreOptions, SERIAL, SnapshotId,
    SnapshotStatus, WorkloadId,
};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A clock that stands until it is moved.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<DateTime<Utc>>>);

impl Clock {
    pub(crate) fn steering(store: &Datastore) -> (Datastore, Self) {
        let start = Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap();
        let clock = Self(Arc::new(Mutex::new(start)));
        let read = clock.clone();
        (store.with_clock(move || read.now()), clock)
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    pub(crate) fn forward(&self, time: Duration) {
        *self.0.lock().unwrap() += TimeDelta::from_std(time).unwrap();
    }
}

pub(crate) fn member(server: &str) -> Member {
    Member {
        server_id: server.parse().unwrap(),
        name: format!("name of {server}"),
    }
}

pub(crate) fn new_workload(project: &str, servers: &[&str]) -> NewWorkload {
    NewWorkload {
        id: WorkloadId::random(),
        user_id: "user-1".parse().unwrap(),
        project_id: project.parse().unwrap(),
        name: "Büro 🗄".to_owned(),
        description: "all of it".to_owned(),
        workload_type_id: SERIAL.parse().unwrap(),
        source_platform: Some("openstack".to_owned()),
        schedule: json!({"enabled": true, "interval": "24 hrs"}),
        availability_zone: None,
        metadata: BTreeMap::from([("color".to_owned(), "blue".to_owned())]),
        members: servers.iter().map(|server| member(server)).collect(),
    }
}

/// An available workload with these servers.
pub(crate) async fn workload(store: &Datastore, servers: &[&str]) -> WorkloadId {
    let new = new_workload("project-1", servers);
    let id = new.id;
    store.workload_create(new).await.unwrap();
    store.workload_set_available(id).await.unwrap();
    id
}

pub(crate) fn new_snapshot(workload_id: WorkloadId) -> NewSnapshot {
    NewSnapshot {
        id: SnapshotId::random(),
        workload_id,
        user_id: "user-1".parse().unwrap(),
        project_id: "project-1".parse().unwrap(),
        name: "snapshot".to_owned(),
        description: String::new(),
        is_full: true,
        due_at: None,
        target_id: Some("target-1".to_owned()),
    }
}

/// A requested snapshot whose flow is claimed by `engine-1`; expects no other flow to be claimable.
pub(crate) async fn claimed_snapshot(
    store: &Datastore,
    workload_id: WorkloadId,
) -> (SnapshotId, FlowClaim) {
    let new = new_snapshot(workload_id);
    let id = new.id;
    let flow_id = FlowId::random();
    store.snapshot_request(new, flow_id).await.unwrap();
    (id, claim(store, flow_id).await)
}

/// Claims the only claimable flow, which is expected to be this.
pub(crate) async fn claim(store: &Datastore, flow_id: FlowId) -> FlowClaim {
    let claim = store.flow_claim_next("engine-1", LEASE).await.unwrap();
    let claim = claim.expect("a flow to claim");
    assert_eq!(claim.flow_id, flow_id);
    claim
}

pub(crate) async fn finish(store: &Datastore, claim: &FlowClaim) {
    store
        .flow_finish(claim, FlowStatus::Done, None)
        .await
        .unwrap();
}

pub(crate) async fn upload(store: &Datastore, claim: &FlowClaim) {
    for status in [SnapshotStatus::Executing, SnapshotStatus::Uploading] {
        store.snapshot_set_status(claim, status).await.unwrap();
    }
}

pub(crate) fn outcome() -> SnapshotOutcome {
    SnapshotOutcome {
        size_bytes: 70,
        uploaded_bytes: 60,
        restore_bytes: 1 << 44,
        message: "Done".to_owned(),
        warning: None,
    }
}

/// A snapshot that went well, its flow finished.
pub(crate) async fn snapshot(store: &Datastore, workload_id: WorkloadId) -> SnapshotId {
    let (id, claim) = claimed_snapshot(store, workload_id).await;
    store.workload_lock(&claim).await.unwrap();
    upload(store, &claim).await;
    store
        .snapshot_publish(&claim, outcome(), None)
        .await
        .unwrap();
    finish(store, &claim).await;
    id
}

pub(crate) fn new_restore(snapshot_id: SnapshotId) -> NewRestore {
    NewRestore {
        id: RestoreId::random(),
        snapshot_id,
        user_id: "user-1".parse().unwrap(),
        project_id: "project-1".parse().unwrap(),
        name: " ".to_owned(),
        description: String::new(),
        options: RestoreOptions {
            kind: RestoreKind::OneClick,
        },
    }
}

/// A requested restore whose flow is claimed by `engine-1` and has begun.
pub(crate) async fn claimed_restore(
    store: &Datastore,
    snapshot_id: SnapshotId,
) -> (RestoreId, FlowClaim) {
    let new = new_restore(snapshot_id);
    let id = new.id;
    let flow_id = FlowId::random();
    store.restore_request(new, flow_id).await.unwrap();
    let claim = claim(store, flow_id).await;
    store.workload_lock(&claim).await.unwrap();
    store.restore_begin(&claim, "node-1").await.unwrap();
    (id, claim)
}

/// What stood against it.
pub(crate) fn conflict<T: std::fmt::Debug>(refused: Result<T, Error>) -> Conflict {
    match refused {
        Err(Error::Conflict(conflict)) => conflict,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

pub(crate) fn is_not_found<T>(refused: &Result<T, Error>) -> bool {
    matches!(refused, Err(Error::NotFound { .. }))
}

pub(crate) fn is_fenced<T>(refused: &Result<T, Error>) -> bool {
    matches!(refused, Err(Error::Fenced { .. }))
}

/// How many of those that ran at once succeeded; the others must all have met this conflict.
pub(crate) fn winners<T: std::fmt::Debug>(
    outcomes: Vec<Result<T, Error>>,
    is_expected: impl Fn(&Conflict) -> bool,
) -> usize {
    let mut count = 0;
    for outcome in outcomes {
        if outcome.is_ok() {
            count += 1;
        } else {
            let conflict = conflict(outcome);
            assert!(is_expected(&conflict), "{conflict:?}");
        }
    }
    count
}

/// Runs them on tasks of their own and waits for all.
pub(crate) async fn at_once<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut outcomes = Vec::new();
    for task in running {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}
