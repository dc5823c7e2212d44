//! Snapshots: asked for, made, listed.

use std::time::Duration;

use chrono::{TimeZone, Utc};
use services_db::{
    Conflict, Datastore, Progress, SnapshotFilter, SnapshotOutcome, SnapshotVm, Stopped,
};
use services_types::{
    FlowId, FlowRequest, FlowStatus, NetworkRecord, SnapshotId, SnapshotStatus, SnapshotType,
    Topology, WorkloadId, WorkloadStatus,
};

use crate::build::{
    Clock, at_once, claimed_snapshot, conflict, finish, is_not_found, new_snapshot, outcome,
    snapshot, upload, winners, workload,
};

pub(crate) async fn a_request_writes_the_snapshot_and_its_flow(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let mut new = new_snapshot(workload_id);
    new.is_full = false;
    let flow_id = FlowId::random();
    let made = store.snapshot_request(new.clone(), flow_id).await.unwrap();
    assert_eq!(made.status, SnapshotStatus::Creating);
    assert_eq!(made.snapshot_type, SnapshotType::Incremental);
    assert_eq!((made.id, made.workload_id), (new.id, workload_id));
    assert_eq!(made.target_id, new.target_id);
    assert_eq!((made.size_bytes, made.progress_percent), (0, 0));
    assert_eq!(store.snapshot_fetch(new.id).await.unwrap(), made);
    let flow = store.flow_fetch(flow_id).await.unwrap();
    assert_eq!(flow.status, FlowStatus::Running);
    assert_eq!(flow.project_id, new.project_id);
    let request = FlowRequest::SnapshotCreate {
        snapshot_id: new.id,
        workload_id,
        is_full: false,
    };
    assert_eq!(flow.request, request);
}

pub(crate) async fn a_second_one_is_refused_while_one_runs(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (_, claim) = claimed_snapshot(&store, workload_id).await;
    let second = async || {
        let new = new_snapshot(workload_id);
        conflict(store.snapshot_request(new, FlowId::random()).await)
    };
    assert_eq!(second().await, Conflict::SnapshotRunning);
    store.workload_lock(&claim).await.unwrap();
    upload(&store, &claim).await;
    assert_eq!(second().await, Conflict::SnapshotRunning);
    store
        .snapshot_publish(&claim, outcome(), None)
        .await
        .unwrap();
    // The flow itself has not ended, but whoever sees the snapshot available may go on.
    let third = new_snapshot(workload_id);
    store
        .snapshot_request(third, FlowId::random())
        .await
        .unwrap();
}

pub(crate) async fn of_many_requests_at_once_one_wins(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let tasks = (0..8).map(|_| {
        let store = store.clone();
        async move {
            let new = new_snapshot(workload_id);
            store.snapshot_request(new, FlowId::random()).await
        }
    });
    let outcomes = at_once(tasks).await;
    assert_eq!(winners(outcomes, |it| *it == Conflict::SnapshotRunning), 1);
    let filter = SnapshotFilter::default();
    assert_eq!(store.snapshot_list(filter).await.unwrap().len(), 1);
}

pub(crate) async fn a_slot_is_filled_once_even_by_many_schedulers_at_once(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let due_at = Utc.with_ymd_and_hms(2026, 3, 1, 21, 0, 0).unwrap();
    let due = move || {
        let mut new = new_snapshot(workload_id);
        new.due_at = Some(due_at);
        new
    };
    let tasks = (0..6).map(|_| {
        let store = store.clone();
        async move { store.snapshot_request(due(), FlowId::random()).await }
    });
    let mut outcomes = at_once(tasks).await;
    outcomes.sort_by_key(Result::is_err);
    let id = outcomes[0].as_ref().unwrap().id;
    assert_eq!(winners(outcomes, |it| *it == Conflict::AlreadyDue), 1);
    let claim = store
        .flow_claim_next("e", Duration::from_secs(9))
        .await
        .unwrap()
        .unwrap();
    store
        .snapshot_fail(&claim, Stopped::Failed, "x")
        .await
        .unwrap();
    store
        .snapshot_delete_request(id, FlowId::random())
        .await
        .unwrap();
    let deletion = store
        .flow_claim_next("e", Duration::from_secs(9))
        .await
        .unwrap()
        .unwrap();
    store
        .snapshot_deleted(&deletion, false, None)
        .await
        .unwrap();
    let again = store.snapshot_request(due(), FlowId::random()).await;
    assert_eq!(
        conflict(again),
        Conflict::AlreadyDue,
        "also when it is gone"
    );
    let other = workload(&store, &["b"]).await;
    let mut new = due();
    new.workload_id = other;
    store.snapshot_request(new, FlowId::random()).await.unwrap();
}

pub(crate) async fn only_an_available_workload_is_protected(store: Datastore) {
    let unknown = new_snapshot(WorkloadId::random());
    assert!(is_not_found(
        &store.snapshot_request(unknown, FlowId::random()).await
    ));
    let workload_id = workload(&store, &["a"]).await;
    store.workload_set_error(workload_id, "x").await.unwrap();
    let new = new_snapshot(workload_id);
    let refused = store.snapshot_request(new.clone(), FlowId::random()).await;
    assert_eq!(
        conflict(refused),
        Conflict::WorkloadState(WorkloadStatus::Error)
    );
    store.workload_set_available(workload_id).await.unwrap();
    let flow_id = FlowId::random();
    store.snapshot_request(new.clone(), flow_id).await.unwrap();
    let other = workload(&store, &["b"]).await;
    let mut used_id = new;
    used_id.workload_id = other;
    let refused = store.snapshot_request(used_id, FlowId::random()).await;
    assert_eq!(conflict(refused), Conflict::Exists { what: "snapshot" });
    let used_flow = store.snapshot_request(new_snapshot(other), flow_id).await;
    assert_eq!(conflict(used_flow), Conflict::Exists { what: "flow" });
}

pub(crate) async fn it_tells_how_far_it_is(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (id, claim) = claimed_snapshot(&store, workload_id).await;
    store.snapshot_set_host(&claim, "node-1").await.unwrap();
    let progress = Progress {
        percent: 40,
        message: "Uploading disk vda".to_owned(),
        size_bytes: 5 << 40,
        uploaded_bytes: 2 << 40,
    };
    store.snapshot_set_progress(&claim, progress).await.unwrap();
    let backing = SnapshotId::random();
    let incremental = SnapshotType::Incremental;
    store
        .snapshot_set_chain(&claim, incremental, Some(backing))
        .await
        .unwrap();
    let vm = |id: &str, status| SnapshotVm {
        server_id: id.parse().unwrap(),
        name: id.to_uppercase(),
        status,
    };
    let vms = vec![
        vm("z", SnapshotStatus::Uploading),
        vm("a", SnapshotStatus::Available),
    ];
    store
        .snapshot_vms_set(&claim, vec![vm("old", SnapshotStatus::Creating)])
        .await
        .unwrap();
    store.snapshot_vms_set(&claim, vms.clone()).await.unwrap();
    let now = store.snapshot_fetch(id).await.unwrap();
    assert_eq!(now.host.as_deref(), Some("node-1"));
    assert_eq!(now.progress_percent, 40);
    assert_eq!(now.progress_msg.as_deref(), Some("Uploading disk vda"));
    assert_eq!((now.size_bytes, now.uploaded_bytes), (5 << 40, 2 << 40));
    assert_eq!(now.snapshot_type, SnapshotType::Incremental);
    assert_eq!(now.backing_snapshot_id, Some(backing));
    assert_eq!(store.snapshot_vms(id).await.unwrap(), vms);
}

pub(crate) async fn its_topology_may_be_large_and_is_replaced(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (id, claim) = claimed_snapshot(&store, workload_id).await;
    assert_eq!(store.snapshot_topology_fetch(id).await.unwrap(), None);
    let network = NetworkRecord {
        id: "net-1".parse().unwrap(),
        name: "ü".repeat(50_000),
        description: String::new(),
        is_admin_state_up: true,
        is_shared: false,
        is_external: false,
        mtu: Some(1450),
    };
    let mut topology = Topology {
        networks: vec![network; 20],
        ..Topology::default()
    };
    store
        .snapshot_topology_set(&claim, &topology)
        .await
        .unwrap();
    assert_eq!(
        store.snapshot_topology_fetch(id).await.unwrap(),
        Some(topology.clone())
    );
    topology.networks.clear();
    store
        .snapshot_topology_set(&claim, &topology)
        .await
        .unwrap();
    assert_eq!(
        store.snapshot_topology_fetch(id).await.unwrap(),
        Some(topology)
    );
}

pub(crate) async fn published_it_frees_the_workload_and_twice_is_once(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a"]).await;
    let (id, claim) = claimed_snapshot(&store, workload_id).await;
    store.workload_lock(&claim).await.unwrap();
    upload(&store, &claim).await;
    clock.forward(Duration::from_secs(5));
    let finished_at = clock.now();
    let well = SnapshotOutcome {
        warning: Some("no guest agent in a".to_owned()),
        ..outcome()
    };
    store
        .snapshot_publish(&claim, well.clone(), None)
        .await
        .unwrap();
    clock.forward(Duration::from_secs(5));
    store
        .snapshot_publish(&claim, outcome(), None)
        .await
        .unwrap();
    let now = store.snapshot_fetch(id).await.unwrap();
    assert_eq!(now.status, SnapshotStatus::Available);
    assert_eq!(
        (now.size_bytes, now.uploaded_bytes, now.restore_bytes),
        (70, 60, 1 << 44)
    );
    assert_eq!((now.progress_percent, now.time_taken_seconds), (100, 5));
    assert_eq!(
        (now.finished_at, now.warning_msg),
        (Some(finished_at), well.warning)
    );
    let free = store.workload_fetch(workload_id).await.unwrap();
    assert_eq!(free.status, WorkloadStatus::Available);
}

pub(crate) async fn failed_or_cancelled_it_says_why_and_frees_the_workload(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    for (stopped, status) in [
        (Stopped::Failed, SnapshotStatus::Error),
        (Stopped::Cancelled, SnapshotStatus::Cancelled),
    ] {
        let (id, claim) = claimed_snapshot(&store, workload_id).await;
        store.workload_lock(&claim).await.unwrap();
        let why = "x".repeat(70_000);
        store.snapshot_fail(&claim, stopped, &why).await.unwrap();
        store.snapshot_fail(&claim, stopped, "later").await.unwrap();
        finish(&store, &claim).await;
        let now = store.snapshot_fetch(id).await.unwrap();
        assert_eq!((now.status, now.error_msg), (status, Some(why)));
        assert!(now.finished_at.is_some());
        let free = store.workload_fetch(workload_id).await.unwrap();
        assert_eq!(free.status, WorkloadStatus::Available);
    }
}

pub(crate) async fn only_legal_states_are_reached(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (_, claim) = claimed_snapshot(&store, workload_id).await;
    for illegal in [
        SnapshotStatus::Uploading,
        SnapshotStatus::Available,
        SnapshotStatus::Deleted,
    ] {
        let refused = conflict(store.snapshot_set_status(&claim, illegal).await);
        assert!(
            matches!(refused, Conflict::Transition { .. }),
            "{refused:?}"
        );
    }
    let refused = conflict(store.snapshot_publish(&claim, outcome(), None).await);
    assert!(
        matches!(refused, Conflict::Transition { .. }),
        "{refused:?}"
    );
    upload(&store, &claim).await;
    store
        .snapshot_set_status(&claim, SnapshotStatus::Uploading)
        .await
        .unwrap();
    store
        .snapshot_publish(&claim, outcome(), None)
        .await
        .unwrap();
    let refused = conflict(store.snapshot_fail(&claim, Stopped::Failed, "late").await);
    assert!(
        matches!(refused, Conflict::Transition { .. }),
        "{refused:?}"
    );
}

pub(crate) async fn a_list_is_filtered_and_oldest_first(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let (one, other) = (
        workload(&store, &["a"]).await,
        workload(&store, &["b"]).await,
    );
    let start = clock.now();
    let mut ids = Vec::new();
    for workload_id in [one, other, one] {
        ids.push(snapshot(&store, workload_id).await);
        clock.forward(Duration::from_secs(60));
    }
    let (_, claim) = claimed_snapshot(&store, other).await;
    store.snapshot_set_host(&claim, "node-2").await.unwrap();
    let listed = async |filter: SnapshotFilter| -> Vec<SnapshotId> {
        let snapshots = store.snapshot_list(filter).await.unwrap();
        snapshots.into_iter().map(|snapshot| snapshot.id).collect()
    };
    let all = SnapshotFilter::default();
    assert_eq!(listed(all.clone()).await[..3], ids);
    let of_one = SnapshotFilter {
        workload_id: Some(one),
        ..all.clone()
    };
    assert_eq!(listed(of_one).await, [ids[0], ids[2]]);
    let of_project = SnapshotFilter {
        project_id: Some("project-2".parse().unwrap()),
        ..all.clone()
    };
    assert!(listed(of_project).await.is_empty());
    let of_host = SnapshotFilter {
        host: Some("node-2".to_owned()),
        ..all.clone()
    };
    assert_eq!(listed(of_host).await.len(), 1);
    let minute = chrono::TimeDelta::seconds(60);
    let between = SnapshotFilter {
        created_from: Some(start + minute),
        created_to: Some(start + minute),
        ..all
    };
    assert_eq!(listed(between).await, [ids[1]]);
}
