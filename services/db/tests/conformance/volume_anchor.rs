//! The Cinder snapshots that are kept for the next incremental.

use services_db::{Datastore, VolumeAnchor};
use services_types::{FlowClaim, FlowId, SnapshotId, VolumeId, VolumeSnapshotId, WorkloadId};

use crate::build::{claim, claimed_snapshot, finish, outcome, snapshot, upload, workload};

fn pair(volume: &str, snapshot: &str) -> (VolumeId, VolumeSnapshotId) {
    (volume.parse().unwrap(), snapshot.parse().unwrap())
}

fn anchor(volume: &str, volume_snapshot: &str, snapshot_id: SnapshotId) -> VolumeAnchor {
    let (volume_id, volume_snapshot_id) = pair(volume, volume_snapshot);
    VolumeAnchor {
        volume_id,
        volume_snapshot_id,
        snapshot_id,
    }
}

async fn snapshot_with(
    store: &Datastore,
    workload: WorkloadId,
    anchors: &[(&str, &str)],
) -> (SnapshotId, FlowClaim, Vec<VolumeAnchor>) {
    let (id, claim) = claimed_snapshot(store, workload).await;
    upload(store, &claim).await;
    let anchors = anchors
        .iter()
        .map(|(volume, snapshot)| pair(volume, snapshot));
    let gone = store
        .volume_anchors_replace(&claim, anchors.collect())
        .await
        .unwrap();
    (id, claim, gone)
}

async fn end(store: &Datastore, claim: &FlowClaim) {
    store
        .snapshot_publish(claim, outcome(), None)
        .await
        .unwrap();
    finish(store, claim).await;
}

pub(crate) async fn new_anchors_supersede_the_old_until_those_are_gone(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (first, claim, gone) =
        snapshot_with(&store, workload_id, &[("v1", "s1"), ("v2", "s2")]).await;
    assert!(gone.is_empty());
    end(&store, &claim).await;
    let (second, claim, gone) = snapshot_with(&store, workload_id, &[("v1", "s3")]).await;
    let old = [anchor("v1", "s1", first), anchor("v2", "s2", first)];
    assert_eq!(gone, old);
    let kept = store.volume_anchors_fetch(workload_id).await.unwrap();
    assert_eq!(kept, [anchor("v1", "s3", second)]);
    assert_eq!(
        store.volume_anchors_superseded(workload_id).await.unwrap(),
        old
    );
    let forgotten = vec!["s1".parse().unwrap(), "s3".parse().unwrap()];
    store
        .volume_anchors_forget(&claim, forgotten)
        .await
        .unwrap();
    let left = store.volume_anchors_superseded(workload_id).await.unwrap();
    assert_eq!(left, [anchor("v2", "s2", first)]);
    assert_eq!(
        store.volume_anchors_fetch(workload_id).await.unwrap(),
        kept,
        "in use, not forgotten"
    );
}

pub(crate) async fn a_repeated_step_supersedes_nothing_of_its_own(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (first, claim, _) = snapshot_with(&store, workload_id, &[("v1", "s1")]).await;
    end(&store, &claim).await;
    let (second, claim, _) = snapshot_with(&store, workload_id, &[("v1", "s2")]).await;
    let again = store
        .volume_anchors_replace(&claim, vec![pair("v1", "s2")])
        .await
        .unwrap();
    assert_eq!(again, [anchor("v1", "s1", first)], "still to be removed");
    let kept = store.volume_anchors_fetch(workload_id).await.unwrap();
    assert_eq!(kept, [anchor("v1", "s2", second)]);
}

pub(crate) async fn cleared_all_are_superseded(store: Datastore) {
    let workload_id = workload(&store, &["a"]).await;
    let (id, first, _) = snapshot_with(&store, workload_id, &[("v1", "s1")]).await;
    end(&store, &first).await;
    let other = workload(&store, &["b"]).await;
    let (_, foreign, _) = snapshot_with(&store, other, &[("v9", "s9")]).await;
    end(&store, &foreign).await;
    let snapshot_id = snapshot(&store, workload_id).await;
    let flow_id = FlowId::random();
    store
        .snapshot_delete_request(snapshot_id, flow_id)
        .await
        .unwrap();
    let claim = claim(&store, flow_id).await;
    let gone = store.volume_anchors_clear(&claim).await.unwrap();
    assert_eq!(gone, [anchor("v1", "s1", id)]);
    assert!(
        store
            .volume_anchors_fetch(workload_id)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.volume_anchors_fetch(other).await.unwrap().len(), 1);
}
