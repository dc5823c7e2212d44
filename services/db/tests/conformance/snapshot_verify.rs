//! The verification of snapshots.

use services_db::{Conflict, Datastore, Verification};
use services_types::{FlowId, SnapshotStatus, WorkloadStatus};

use crate::build::{claim, conflict, finish, new_restore, new_snapshot, snapshot, workload};

pub(crate) async fn what_a_verification_finds_stays_with_the_snapshot(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let parent = snapshot(&store, workload_id).await;
    let id = snapshot(&store, workload_id).await;
    for damage in [Some("vda is damaged"), None] {
        let flow_id = FlowId::random();
        let row = store.snapshot_verify_request(id, flow_id).await.unwrap();
        assert_eq!(row.status, SnapshotStatus::Verifying);
        let claim = claim(&store, flow_id).await;
        store.workload_lock(&claim).await.unwrap();
        store
            .snapshot_verify_progress(&claim, 7, "Verifying")
            .await
            .unwrap();
        let now = store.snapshot_fetch(id).await.unwrap();
        assert_eq!(
            (now.progress_percent, now.progress_msg.as_deref()),
            (7, Some("Verifying"))
        );
        let found = Verification {
            message: "Verified".to_owned(),
            damage: damage.map(str::to_owned),
            damaged_parents: damage
                .map(|it| (parent, it.to_owned()))
                .into_iter()
                .collect(),
        };
        for _ in 0..2 {
            store
                .snapshot_verified(&claim, found.clone())
                .await
                .unwrap();
        }
        finish(&store, &claim).await;
        let now = store.snapshot_fetch(id).await.unwrap();
        assert_eq!(now.status, SnapshotStatus::Available);
        assert_eq!(now.damage.as_deref(), damage);
        assert!(now.verified_at.is_some());
        assert_eq!(now.progress_msg.as_deref(), Some("Verified"));
        assert_eq!(now.progress_percent, 100);
        let free = store.workload_fetch(workload_id).await.unwrap();
        assert_eq!(free.status, WorkloadStatus::Available);
    }
    let parent = store.snapshot_fetch(parent).await.unwrap();
    assert_eq!(parent.damage.as_deref(), Some("vda is damaged"));
    assert_eq!(parent.verified_at, None);
}

pub(crate) async fn a_verification_that_fails_leaves_what_was_known(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let id = snapshot(&store, workload_id).await;
    let flow_id = FlowId::random();
    store.snapshot_verify_request(id, flow_id).await.unwrap();
    let claim = claim(&store, flow_id).await;
    store.workload_lock(&claim).await.unwrap();
    for _ in 0..2 {
        store
            .snapshot_verify_fail(&claim, "nobody is there")
            .await
            .unwrap();
    }
    let now = store.snapshot_fetch(id).await.unwrap();
    assert_eq!(now.status, SnapshotStatus::Available);
    assert_eq!(now.progress_msg.as_deref(), Some("nobody is there"));
    assert_eq!((now.verified_at, now.damage), (None, None));
    let free = store.workload_fetch(workload_id).await.unwrap();
    assert_eq!(free.status, WorkloadStatus::Available);
}

pub(crate) async fn nothing_else_works_on_the_workload_meanwhile(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let id = snapshot(&store, workload_id).await;
    let other = snapshot(&store, workload_id).await;
    store
        .snapshot_verify_request(id, FlowId::random())
        .await
        .unwrap();
    let flow = FlowId::random;
    let again = store.snapshot_verify_request(other, flow()).await;
    assert_eq!(conflict(again), Conflict::Busy);
    let delete = store.snapshot_delete_request(other, flow()).await;
    assert_eq!(conflict(delete), Conflict::Busy);
    let restore = store.restore_request(new_restore(id), flow()).await;
    assert_eq!(conflict(restore), Conflict::Busy);
    let another = store
        .snapshot_request(new_snapshot(workload_id), flow())
        .await;
    assert_eq!(conflict(another), Conflict::Busy);

    let workload_id = crate::build::workload(&store, &["b"]).await;
    let one = new_snapshot(workload_id);
    let id = one.id;
    store.snapshot_request(one, flow()).await.unwrap();
    let early = store.snapshot_verify_request(id, flow()).await;
    assert_eq!(conflict(early), Conflict::SnapshotRunning);
}
