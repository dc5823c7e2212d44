//! What an engine would do with what the API asked for.

use std::time::Duration;

use services_db::{
    Datastore, RestoreOutcome, RestoredServer, SnapshotOutcome, SnapshotVm, Verification,
};
use services_types::{FlowClaim, FlowStatus, ServerId, SnapshotStatus, SnapshotType, Topology};

pub(crate) async fn claim(datastore: &Datastore) -> FlowClaim {
    let lease = Duration::from_secs(600);
    datastore
        .flow_claim_next("engine", lease)
        .await
        .unwrap()
        .expect("nothing was asked for")
}

/// Takes the next snapshot of these servers, up to where its data moves.
pub(crate) async fn begin_snapshot(
    datastore: &Datastore,
    servers: &[(&ServerId, &str)],
    topology: &Topology,
) -> FlowClaim {
    let claim = claim(datastore).await;
    datastore.workload_lock(&claim).await.unwrap();
    datastore
        .snapshot_set_status(&claim, SnapshotStatus::Executing)
        .await
        .unwrap();
    datastore.snapshot_set_host(&claim, "node-1").await.unwrap();
    datastore
        .snapshot_topology_set(&claim, topology)
        .await
        .unwrap();
    let vm = |(id, name): &(&ServerId, &str)| SnapshotVm {
        server_id: (*id).clone(),
        name: (*name).to_owned(),
        status: SnapshotStatus::Available,
    };
    datastore
        .snapshot_vms_set(&claim, servers.iter().map(vm).collect())
        .await
        .unwrap();
    datastore
        .snapshot_set_status(&claim, SnapshotStatus::Uploading)
        .await
        .unwrap();
    claim
}

/// Takes the next snapshot of these servers to its end.
pub(crate) async fn complete_snapshot(datastore: &Datastore, servers: &[(&ServerId, &str)]) {
    let claim = begin_snapshot(datastore, servers, &Topology::default()).await;
    finish_snapshot(datastore, &claim).await;
}

pub(crate) async fn finish_snapshot(datastore: &Datastore, claim: &FlowClaim) {
    datastore
        .snapshot_set_chain(claim, SnapshotType::Full, None)
        .await
        .unwrap();
    let outcome = SnapshotOutcome {
        size_bytes: 1000,
        uploaded_bytes: 2000,
        restore_bytes: 3000,
        message: "Upload is complete".to_owned(),
        warning: Some("The guest agent did not answer".to_owned()),
    };
    datastore
        .snapshot_publish(claim, outcome, None)
        .await
        .unwrap();
    datastore
        .flow_finish(claim, FlowStatus::Done, None)
        .await
        .unwrap();
}

/// Ends the verification that was asked for.
pub(crate) async fn complete_verification(datastore: &Datastore, found: Verification) {
    let claim = claim(datastore).await;
    datastore.workload_lock(&claim).await.unwrap();
    datastore.snapshot_verified(&claim, found).await.unwrap();
    datastore
        .flow_finish(&claim, FlowStatus::Done, None)
        .await
        .unwrap();
}

/// Deletes what was asked to be deleted.
pub(crate) async fn complete_snapshot_delete(datastore: &Datastore) {
    let claim = claim(datastore).await;
    datastore.workload_lock(&claim).await.unwrap();
    datastore
        .snapshot_deleted(&claim, false, None)
        .await
        .unwrap();
    datastore
        .flow_finish(&claim, FlowStatus::Done, None)
        .await
        .unwrap();
}

/// Deletes the workload that was asked to be deleted.
pub(crate) async fn complete_workload_delete(datastore: &Datastore) {
    let claim = claim(datastore).await;
    datastore.workload_deleted(&claim).await.unwrap();
    datastore
        .flow_finish(&claim, FlowStatus::Done, None)
        .await
        .unwrap();
}

/// Restores this server as that one.
pub(crate) async fn complete_restore(datastore: &Datastore, original: &ServerId, new: &ServerId) {
    let claim = claim(datastore).await;
    datastore.workload_lock(&claim).await.unwrap();
    datastore.restore_begin(&claim, "node-1").await.unwrap();
    let servers = vec![RestoredServer {
        original_id: original.clone(),
        server_id: new.clone(),
        name: "restored".to_owned(),
    }];
    let outcome = RestoreOutcome {
        servers,
        size_bytes: 3000,
        uploaded_bytes: 3000,
        changes_members: true,
        message: "Restore from snapshot is complete".to_owned(),
        warning: None,
    };
    datastore.restore_publish(&claim, outcome).await.unwrap();
    datastore
        .flow_finish(&claim, FlowStatus::Done, None)
        .await
        .unwrap();
}
