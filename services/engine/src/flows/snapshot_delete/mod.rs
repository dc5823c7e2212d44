//! Takes one snapshot off the target; all others stay as they are to whoever restores them.
//!
//! ```text
//!            R <── S <── T <── U          S is deleted
//! manifests  r     s     t     u
//! withdraw   r     (s)   t     u          S is no backup any more, its images are still described
//! merge      r     (s)   t'    u          each image of S goes into the one that builds on it, and T's
//!                                         manifest is written anew after each: builds on R now
//! remove     r           t'    u
//! ```
//!
//! 1. What lies in the way is found out, and who does it is decided, once: the datamover that served the
//!    server whose disk it is, if it lives, else any that can write to the target.
//! 2. When the newest snapshot goes, so do the Cinder snapshots that were kept for the incremental after
//!    it: that one will be full.
//! 3. The manifest is withdrawn: moved to a name under which it makes no backup.
//! 4. An image that another one builds on is merged into that one; an image that nothing builds on is
//!    removed. A disk that only one of the two snapshots has needs nothing else.
//! 5. The snapshot's folder goes; rows of the database follow what the manifests say.
//! 6. What earlier deletions have left is tried again.
//!
//! Nothing here can be taken back. What a crash leaves is finished by the step that is repeated: what is
//! on the target says how far it is. A deletion that fails says so in the snapshot, which is in error
//! once its manifest is withdrawn; later snapshots are whole all the same, and deleting it again goes on
//! where it stopped. Should several snapshots build on one image, it stays, hidden, until one of them is
//! left; so do snapshots that releases before this one deleted without a merge.

mod clear_leftovers;
mod forget;
mod free_images;
mod links;
mod plan_removal;
mod rebase;
mod release_anchors;
mod remove_files;
mod undo_merges;
mod withdraw_manifest;

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
        .then(withdraw_manifest::WithdrawManifest)
        .then(undo_merges::UndoMerges)
        .then(free_images::FreeImages)
        .then(remove_files::RemoveFiles)
        .then(rebase::Rebase)
        .then(clear_leftovers::ClearLeftovers)
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
