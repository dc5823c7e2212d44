//! Takes one snapshot off the target.
//!
//! The manifest goes first: from then on it is no backup any more, whatever a crash leaves of it. An
//! image that a later incremental builds on stays until the last of those is gone; the snapshot is
//! deleted for its owner all the same. When the newest snapshot goes, so do the Cinder snapshots that
//! were kept for the incremental after it: that one will be full.
//!
//! Nothing here can be taken back. A deletion that fails says so in the snapshot, which is in error once
//! its manifest is gone; deleting it again goes on where it stopped.

mod forget;
mod plan_removal;
mod release_anchors;
mod remove_files;

use services_types::{FlowKind, FlowRequest, SnapshotId};

use super::workload_lock::LockWorkload;
use crate::FlowContext;
use crate::runner::{Settlement, StepFailure, Steps};
use crate::target_files;

pub(super) fn steps() -> Steps {
    Steps::of(FlowKind::SnapshotDelete)
        .then(LockWorkload)
        .then(plan_removal::PlanRemoval)
        .then(release_anchors::ReleaseAnchors)
        .then(remove_files::RemoveFiles)
        .then(forget::Forget)
}

pub(super) async fn settle_failed(
    flow: &FlowContext,
    settlement: &Settlement,
) -> Result<(), StepFailure> {
    let message = format!(
        "Its deletion was not completed, delete it again: {}",
        settlement.tenant_words()
    );
    let workload_id = flow.claim().request.workload_id();
    // The manifest goes first: while it stands, so does the backup.
    let manifest = target_files::read_manifest(flow, workload_id, snapshot_id(flow)?).await;
    Ok(flow
        .db()
        .snapshot_delete_fail(flow.claim(), manifest.is_ok(), &message)
        .await?)
}

/// The snapshot that this flow deletes.
fn snapshot_id(flow: &FlowContext) -> Result<SnapshotId, StepFailure> {
    match flow.claim().request {
        FlowRequest::SnapshotDelete { snapshot_id, .. } => Ok(snapshot_id),
        _ => Err(StepFailure::new("The flow's request is of another kind")),
    }
}
