//! Restores: asked for, performed, listed.

use std::time::Duration;

use services_db::{
    Conflict, Datastore, Member, Progress, RestoreFilter, RestoreOutcome, RestoredServer, Stopped,
};
use services_types::{
    FlowId, FlowRequest, RestoreId, RestoreStatus, SnapshotId, SnapshotStatus, WorkloadStatus,
};

use crate::build::{
    Clock, at_once, claimed_restore, claimed_snapshot, conflict, finish, is_not_found, member,
    new_restore, new_snapshot, snapshot, winners, workload,
};

fn restored(original: &str, server: &str) -> RestoredServer {
    RestoredServer {
        original_id: original.parse().unwrap(),
        server_id: server.parse().unwrap(),
        name: format!("name of {server}"),
    }
}

fn outcome(servers: Vec<RestoredServer>) -> RestoreOutcome {
    RestoreOutcome {
        servers,
        size_bytes: 90,
        uploaded_bytes: 80,
        message: "Restore from snapshot is complete".to_owned(),
        warning: None,
        changes_members: true,
    }
}

pub(crate) async fn a_request_makes_the_snapshot_restoring(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let snapshot_id = snapshot(&store, workload_id).await;
    let new = new_restore(snapshot_id);
    let flow_id = FlowId::random();
    let made = store.restore_request(new.clone(), flow_id).await.unwrap();
    assert_eq!(made.status, RestoreStatus::Creating);
    assert_eq!((made.id, made.snapshot_id), (new.id, snapshot_id));
    assert_eq!((&made.options, &made.name), (&new.options, &new.name));
    assert_eq!(store.restore_fetch(new.id).await.unwrap(), made);
    let source = store.snapshot_fetch(snapshot_id).await.unwrap();
    assert_eq!(source.status, SnapshotStatus::Restoring);
    let request = FlowRequest::RestoreCreate {
        restore_id: new.id,
        snapshot_id,
        workload_id,
    };
    assert_eq!(store.flow_fetch(flow_id).await.unwrap().request, request);
    let refused = store
        .snapshot_request(new_snapshot(workload_id), FlowId::random())
        .await;
    assert_eq!(conflict(refused), Conflict::Busy);
}

pub(crate) async fn of_many_requests_at_once_one_wins(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let snapshot_id = snapshot(&store, workload_id).await;
    let tasks = (0..6).map(|number| {
        let store = store.clone();
        async move {
            if number % 2 == 0 {
                let new = new_restore(snapshot_id);
                store
                    .restore_request(new, FlowId::random())
                    .await
                    .map(|_| ())
            } else {
                store
                    .snapshot_delete_request(snapshot_id, FlowId::random())
                    .await
            }
        }
    });
    let outcomes = at_once(tasks).await;
    assert_eq!(winners(outcomes, |it| *it == Conflict::Busy), 1);
}

pub(crate) async fn only_an_available_snapshot_is_restored(store: Datastore) {
    let unknown = new_restore(SnapshotId::random());
    assert!(is_not_found(
        &store.restore_request(unknown, FlowId::random()).await
    ));
    let workload_id = workload(&store, &["a"]).await;
    let (snapshot_id, claim) = claimed_snapshot(&store, workload_id).await;
    let new = new_restore(snapshot_id);
    let refused = store.restore_request(new.clone(), FlowId::random()).await;
    assert_eq!(conflict(refused), Conflict::SnapshotRunning);
    store
        .snapshot_fail(&claim, Stopped::Failed, "x")
        .await
        .unwrap();
    let refused = store.restore_request(new, FlowId::random()).await;
    assert_eq!(
        conflict(refused),
        Conflict::SnapshotState(SnapshotStatus::Error)
    );
}

pub(crate) async fn published_one_click_it_puts_the_new_servers_in_place_of_the_old(
    store: Datastore,
) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a", "b", "c"]).await;
    let snapshot_id = snapshot(&store, workload_id).await;
    let (id, claim) = claimed_restore(&store, snapshot_id).await;
    assert!(store.restored_servers(id).await.unwrap().is_empty());
    clock.forward(Duration::from_secs(7));
    let servers = vec![
        restored("c", "c2"),
        restored("a", "a2"),
        restored("gone", "g2"),
    ];
    let well = outcome(servers.clone());
    store.restore_publish(&claim, well.clone()).await.unwrap();
    store.restore_publish(&claim, well).await.unwrap();
    assert_eq!(store.restored_servers(id).await.unwrap(), servers);
    let members = store.workload_members(workload_id).await.unwrap();
    assert_eq!(members, ["a2", "b", "c2", "g2"].map(member));
    assert_eq!(
        store
            .workload_of_server("a".parse().unwrap())
            .await
            .unwrap(),
        None
    );
    let owner = store
        .workload_of_server("a2".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(owner, Some(workload_id));
    let now = store.restore_fetch(id).await.unwrap();
    assert_eq!(now.status, RestoreStatus::Available);
    assert_eq!((now.size_bytes, now.uploaded_bytes), (90, 80));
    assert_eq!((now.progress_percent, now.time_taken_seconds), (100, 7));
    assert_eq!(now.host.as_deref(), Some("node-1"));
    let source = store.snapshot_fetch(snapshot_id).await.unwrap();
    assert_eq!(source.status, SnapshotStatus::Available);
    let free = store.workload_fetch(workload_id).await.unwrap();
    assert_eq!(free.status, WorkloadStatus::Available);
}

pub(crate) async fn published_without_members_it_leaves_them(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let snapshot_id = snapshot(&store, workload_id).await;
    let (_, claim) = claimed_restore(&store, snapshot_id).await;
    let mut well = outcome(vec![restored("a", "a2")]);
    well.changes_members = false;
    store.restore_publish(&claim, well).await.unwrap();
    let members: Vec<Member> = store.workload_members(workload_id).await.unwrap();
    assert_eq!(members, [member("a")]);
}

pub(crate) async fn failed_it_gives_the_snapshot_back(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let snapshot_id = snapshot(&store, workload_id).await;
    for (stopped, status) in [
        (Stopped::Failed, RestoreStatus::Error),
        (Stopped::Cancelled, RestoreStatus::Cancelled),
    ] {
        let (id, claim) = claimed_restore(&store, snapshot_id).await;
        let progress = Progress {
            percent: 10,
            message: "Filling volume".to_owned(),
            size_bytes: 9,
            uploaded_bytes: 1,
        };
        store.restore_set_progress(&claim, progress).await.unwrap();
        let running = store.restore_fetch(id).await.unwrap();
        assert_eq!((running.progress_percent, running.uploaded_bytes), (10, 1));
        store
            .restore_fail(&claim, stopped, "no quota")
            .await
            .unwrap();
        store.restore_fail(&claim, stopped, "later").await.unwrap();
        finish(&store, &claim).await;
        let now = store.restore_fetch(id).await.unwrap();
        assert_eq!(
            (now.status, now.error_msg.as_deref()),
            (status, Some("no quota"))
        );
        let source = store.snapshot_fetch(snapshot_id).await.unwrap();
        assert_eq!(source.status, SnapshotStatus::Available);
        let free = store.workload_fetch(workload_id).await.unwrap();
        assert_eq!(free.status, WorkloadStatus::Available);
    }
}

pub(crate) async fn its_record_is_deleted_when_it_has_settled(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let snapshot_id = snapshot(&store, workload_id).await;
    let (id, claim) = claimed_restore(&store, snapshot_id).await;
    let refused = conflict(store.restore_delete(id).await);
    assert!(
        matches!(refused, Conflict::Transition { .. }),
        "{refused:?}"
    );
    store
        .restore_fail(&claim, Stopped::Failed, "x")
        .await
        .unwrap();
    store.restore_delete(id).await.unwrap();
    assert!(is_not_found(&store.restore_fetch(id).await));
    assert!(is_not_found(&store.restore_delete(id).await));
    let listed = store.restore_list(RestoreFilter::default()).await.unwrap();
    assert!(listed.is_empty());
}

pub(crate) async fn a_list_is_filtered_and_oldest_first(store: Datastore) {
    let (store, clock) = Clock::steering(&store);
    let workload_id = workload(&store, &["a"]).await;
    let (one, other) = (
        snapshot(&store, workload_id).await,
        snapshot(&store, workload_id).await,
    );
    let mut ids = Vec::new();
    for snapshot_id in [one, other, one] {
        let (id, claim) = claimed_restore(&store, snapshot_id).await;
        store
            .restore_fail(&claim, Stopped::Failed, "x")
            .await
            .unwrap();
        finish(&store, &claim).await;
        ids.push(id);
        clock.forward(Duration::from_secs(1));
    }
    let listed = async |filter: RestoreFilter| -> Vec<RestoreId> {
        let restores = store.restore_list(filter).await.unwrap();
        restores.into_iter().map(|restore| restore.id).collect()
    };
    assert_eq!(listed(RestoreFilter::default()).await, ids);
    let of_one = RestoreFilter {
        snapshot_id: Some(one),
        project_id: Some("project-1".parse().unwrap()),
    };
    assert_eq!(listed(of_one).await, [ids[0], ids[2]]);
    let of_project = RestoreFilter {
        project_id: Some("project-2".parse().unwrap()),
        snapshot_id: None,
    };
    assert!(listed(of_project).await.is_empty());
}
