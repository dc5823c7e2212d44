//! Workloads: made, changed, listed.

use std::collections::BTreeMap;

use serde_json::json;
use services_db::{Conflict, Datastore, WorkloadChange};
use services_types::{PARALLEL, SERIAL, SnapshotId, WorkloadId, WorkloadStatus, WorkloadTypeId};

use crate::build::{
    Clock, at_once, conflict, is_not_found, member, new_workload, winners, workload,
};

pub(crate) async fn a_new_workload_reads_back_as_it_was_written(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    clock.forward(std::time::Duration::from_nanos(123_456_789));
    let new = new_workload("project-1", &["b", "a", "c"]);
    let made = store.workload_create(new.clone()).await.unwrap();
    assert_eq!(made.status, WorkloadStatus::Creating);
    assert_eq!((made.id, &made.name), (new.id, &new.name));
    assert_eq!(made.schedule, new.schedule);
    assert_eq!(made.source_platform, new.source_platform);
    assert_eq!(made.workload_type_id, new.workload_type_id);
    assert_eq!(made.created_at.timestamp_subsec_nanos(), 123_456_000);
    assert_eq!(made.created_at, made.updated_at);
    assert_eq!(store.workload_fetch(new.id).await.unwrap(), made);
    assert_eq!(store.workload_members(new.id).await.unwrap(), new.members);
    assert_eq!(store.workload_metadata(new.id).await.unwrap(), new.metadata);
    let owner = store
        .workload_of_server("a".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(owner, Some(new.id));
}

pub(crate) async fn a_server_belongs_to_one_workload_only(store: Datastore) {
    let first = workload(&store, &["a", "b"]).await;
    let second = new_workload("project-1", &["free", "b"]);
    let refused = store.workload_create(second.clone()).await;
    assert_eq!(
        conflict(refused),
        Conflict::ServerClaimed {
            server_id: "b".parse().unwrap(),
            workload_id: first,
        }
    );
    assert!(is_not_found(&store.workload_fetch(second.id).await));
    let free = store
        .workload_of_server("free".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(free, None, "nothing of what was refused may stay");
}

pub(crate) async fn of_two_workloads_that_want_a_server_at_once_one_gets_it(store: Datastore) {
    let tasks = (0..6).map(|number| {
        let store = store.clone();
        // Each has them in another order: a deadlock is done again, not told.
        let servers = if number % 2 == 0 {
            ["x", "y"]
        } else {
            ["y", "x"]
        };
        async move {
            store
                .workload_create(new_workload("project-1", &servers))
                .await
        }
    });
    let outcomes = at_once(tasks).await;
    let is_claimed = |it: &Conflict| matches!(it, Conflict::ServerClaimed { .. });
    assert_eq!(winners(outcomes, is_claimed), 1);
    assert_eq!(store.workload_list(None).await.unwrap().len(), 1);
}

pub(crate) async fn an_unknown_type_and_a_used_id_are_refused(store: Datastore) {
    let mut new = new_workload("project-1", &["a"]);
    new.workload_type_id = WorkloadTypeId::random();
    assert!(is_not_found(&store.workload_create(new.clone()).await));
    let id = workload(&store, &["a"]).await;
    let mut again = new_workload("project-1", &["b"]);
    again.id = id;
    let refused = store.workload_create(again).await;
    assert_eq!(conflict(refused), Conflict::Exists { what: "workload" });
}

pub(crate) async fn a_list_shows_one_project_or_all(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let mut ids = Vec::new();
    for (project, server) in [("p1", "a"), ("p2", "b"), ("p1", "c")] {
        let new = new_workload(project, &[server]);
        ids.push(new.id);
        store.workload_create(new).await.unwrap();
        clock.forward(std::time::Duration::from_micros(1));
    }
    let listed = async |project: Option<&str>| -> Vec<WorkloadId> {
        let project = project.map(|it| it.parse().unwrap());
        let workloads = store.workload_list(project).await.unwrap();
        workloads.into_iter().map(|workload| workload.id).collect()
    };
    assert_eq!(listed(Some("p1")).await, [ids[0], ids[2]]);
    assert_eq!(listed(None).await, ids);
    assert!(listed(Some("p3")).await.is_empty());
}

pub(crate) async fn a_change_replaces_members_and_metadata_as_a_whole(store: Datastore) {
    let id = workload(&store, &["a", "b"]).await;
    let change = WorkloadChange {
        name: Some("new name".to_owned()),
        schedule: Some(json!({"enabled": false})),
        metadata: Some(BTreeMap::from([("k".to_owned(), "v".to_owned())])),
        members: Some(vec![member("c"), member("b"), member("c")]),
        description: None,
    };
    let changes = store.workload_update(id, change).await.unwrap();
    assert_eq!(changes.added, [member("c")]);
    assert_eq!(changes.removed, [member("a")]);
    let now = store.workload_fetch(id).await.unwrap();
    assert_eq!(
        (now.name.as_str(), now.description.as_str()),
        ("new name", "all of it")
    );
    assert_eq!(now.schedule, json!({"enabled": false}));
    let metadata = store.workload_metadata(id).await.unwrap();
    assert_eq!(metadata, BTreeMap::from([("k".to_owned(), "v".to_owned())]));
    let mut members = store.workload_members(id).await.unwrap();
    members.sort_by(|one, other| one.server_id.cmp(&other.server_id));
    assert_eq!(members, [member("b"), member("c")]);
    workload(&store, &["a"]).await;
    let nothing = store
        .workload_update(id, WorkloadChange::default())
        .await
        .unwrap();
    assert!(nothing.added.is_empty() && nothing.removed.is_empty());
}

pub(crate) async fn a_change_that_claims_a_foreign_server_changes_nothing(store: Datastore) {
    let id = workload(&store, &["a"]).await;
    let other = workload(&store, &["b"]).await;
    let change = WorkloadChange {
        name: Some("new name".to_owned()),
        members: Some(vec![member("b")]),
        ..WorkloadChange::default()
    };
    let refused = conflict(store.workload_update(id, change).await);
    assert!(matches!(refused, Conflict::ServerClaimed { workload_id, .. } if workload_id == other));
    assert_eq!(store.workload_members(id).await.unwrap(), [member("a")]);
    assert_ne!(store.workload_fetch(id).await.unwrap().name, "new name");
}

pub(crate) async fn both_built_in_types_are_there(store: Datastore) {
    let types = store.workload_type_list().await.unwrap();
    let named: Vec<_> = types
        .iter()
        .map(|it| (it.name.as_str(), it.id.to_string()))
        .collect();
    assert_eq!(
        named,
        [
            ("Parallel", PARALLEL.to_owned()),
            ("Serial", SERIAL.to_owned())
        ]
    );
    let serial = store
        .workload_type_fetch(SERIAL.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(serial.name, "Serial");
    assert!(is_not_found(
        &store.workload_type_fetch(WorkloadTypeId::random()).await
    ));
}

pub(crate) async fn what_is_unknown_is_not_found(store: Datastore) {
    let id = WorkloadId::random();
    assert!(is_not_found(&store.workload_fetch(id).await));
    assert!(is_not_found(
        &store.workload_update(id, WorkloadChange::default()).await
    ));
    assert!(is_not_found(&store.workload_set_available(id).await));
    assert!(store.workload_members(id).await.unwrap().is_empty());
    assert!(store.workload_metadata(id).await.unwrap().is_empty());
    let snapshot_id = SnapshotId::random();
    assert!(is_not_found(&store.snapshot_fetch(snapshot_id).await));
    assert!(
        store
            .snapshot_topology_fetch(snapshot_id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(store.snapshot_vms(snapshot_id).await.unwrap().is_empty());
}

pub(crate) async fn outside_of_flows_only_legal_states_are_reached(store: Datastore) {
    let new = new_workload("project-1", &["a"]);
    let id = new.id;
    store.workload_create(new).await.unwrap();
    store.workload_set_error(id, "no metadata").await.unwrap();
    let wrong = store.workload_fetch(id).await.unwrap();
    assert_eq!(wrong.status, WorkloadStatus::Error);
    assert_eq!(wrong.error_msg.as_deref(), Some("no metadata"));
    store.workload_set_available(id).await.unwrap();
    store.workload_set_available(id).await.unwrap();
    let right = store.workload_fetch(id).await.unwrap();
    assert_eq!(
        (right.status, right.error_msg),
        (WorkloadStatus::Available, None)
    );
    let flow = services_types::FlowId::random();
    store.workload_delete_request(id, flow).await.unwrap();
    let refused = conflict(store.workload_set_available(id).await);
    assert!(
        matches!(refused, Conflict::Transition { .. }),
        "{refused:?}"
    );
    let refused = conflict(store.workload_set_error(id, "x").await);
    assert!(
        matches!(refused, Conflict::Transition { .. }),
        "{refused:?}"
    );
}
