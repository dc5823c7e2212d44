//! Protects a workload once.
//!
//! 1. The workload is locked, its servers are looked at, and what was seen becomes the plan: later
//!    steps read the plan, never the cloud's present state.
//! 2. Each disk is either full or builds on the newest snapshot, if that has an image of the same
//!    disk: its changes are told from the Cinder snapshot or the mark that was kept, or found by hash.
//!    Disks that their owner has left out are described, and not read. A chain stays on its target; where
//!    all disks are full, the one with the most free space is chosen.
//! 3. All guests are frozen, then all volumes snapshot in Cinder and the disks that Nova keeps on their
//!    hosts, then all guests thawed: a moment that holds for the workload as a whole. Guests without an
//!    agent are snapshot as they run, with a warning. Datamovers thaw by themselves at a deadline.
//! 4. Hosts are connected to volumes that they do not reach by themselves; of volumes whose snapshots
//!    cannot be read, a temporary one is made.
//! 5. The datamover of each server's host moves each disk's data to the target.
//! 6. What lies there is looked at again, hosts are disconnected, the manifest is written last.
//! 7. Points in time end, with their marks kept; the new Cinder snapshots are kept for the next
//!    incremental, all older ones are removed: one at rest for each volume at most. Then the snapshot is
//!    published.
//!
//! A loop that makes things has its undo in a step of its own before it: a crash in the middle of the
//! loop leaves nothing behind.

mod choose_target;
mod connect_volumes;
mod disconnect_volumes;
mod drop_superseded;
mod end_points;
mod freeze_guests;
mod plan;
mod plan_disks;
mod publish;
mod read_topology;
mod take_points;
mod take_volume_snapshots;
mod thaw_guests;
mod undo_connections;
mod undo_freezes;
mod undo_metadata;
mod undo_points;
mod undo_uploads;
mod undo_volume_snapshots;
mod upload_disks;
mod verify_images;
mod write_manifest;

use services_types::{FlowKind, FlowRequest, SnapshotId};

use super::workload_lock::LockWorkload;
use crate::FlowContext;
use crate::runner::{Settlement, StepFailure, Steps};

pub(super) fn steps() -> Steps {
    Steps::of(FlowKind::SnapshotCreate)
        .then(LockWorkload)
        .then(read_topology::ReadTopology)
        .then(plan_disks::PlanDisks)
        .then(undo_volume_snapshots::UndoVolumeSnapshots)
        .then(undo_points::UndoPoints)
        .then(undo_freezes::UndoFreezes)
        .then(freeze_guests::FreezeGuests)
        .then(take_volume_snapshots::TakeVolumeSnapshots)
        .then(take_points::TakePoints)
        .then(thaw_guests::ThawGuests)
        .then(undo_connections::UndoConnections)
        .then(connect_volumes::ConnectVolumes)
        .then(undo_uploads::UndoUploads)
        .then(upload_disks::UploadDisks)
        .then(verify_images::VerifyImages)
        .then(disconnect_volumes::DisconnectVolumes)
        .then(undo_metadata::UndoMetadata)
        .then(write_manifest::WriteManifest)
        .then(end_points::EndPoints)
        .then(drop_superseded::DropSuperseded)
        .then(publish::Publish)
}

pub(super) async fn settle_failed(
    flow: &FlowContext,
    settlement: &Settlement,
) -> Result<(), StepFailure> {
    let message = settlement.tenant_words();
    Ok(flow
        .db()
        .snapshot_fail(flow.claim(), settlement.stopped(), &message)
        .await?)
}

/// The snapshot that this flow makes.
fn snapshot_id(flow: &FlowContext) -> Result<SnapshotId, StepFailure> {
    match flow.claim().request {
        FlowRequest::SnapshotCreate { snapshot_id, .. } => Ok(snapshot_id),
        _ => Err(StepFailure::new("The flow's request is of another kind")),
    }
}
