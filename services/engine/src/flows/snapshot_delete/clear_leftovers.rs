//! Tries again what earlier deletions could not do: images that several snapshots built on, and those
//! that releases without merges kept for later incrementals.

use async_trait::async_trait;
use services_types::SnapshotId;
use tracing::warn;

use super::free_images::free_images;
use super::plan_removal::{PlanRemoval, SnapshotRemoval};
use super::rebase::rebase;
use super::remove_files::remove_files;
use crate::context::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// Newest first, so that what nothing builds on is removed and not merged. What does not work now stays
/// for the next deletion, and is no failure of this one.
#[derive(Debug)]
pub(super) struct ClearLeftovers;

#[async_trait]
impl Step for ClearLeftovers {
    const NAME: &'static str = "clear_leftovers";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let own_target = cx.target_id();
        for removal in &cx.output_of::<PlanRemoval>()?.leftovers {
            match clear(cx, removal).await {
                Ok(()) => {}
                Err(failure) if failure.gives_up_flow => return Err(failure),
                Err(failure) => not_now(removal.snapshot_id, &failure),
            }
        }
        cx.use_target(&own_target);
        Ok(())
    }
}

async fn clear(cx: &FlowContext, removal: &SnapshotRemoval) -> Result<(), StepFailure> {
    cx.use_target(&removal.target_id);
    let workload_id = cx.claim().request.workload_id();
    target_files::withdraw_manifest(cx, workload_id, removal.snapshot_id).await?;
    let is_free = free_images(cx, removal).await?;
    rebase(cx, removal.snapshot_id).await?;
    if is_free {
        remove_files(cx, removal.snapshot_id).await?;
        let forgotten = cx
            .db()
            .snapshot_forget_images(cx.claim(), removal.snapshot_id);
        forgotten.await?;
    }
    Ok(())
}

pub(super) fn not_now(snapshot_id: SnapshotId, failure: &StepFailure) {
    warn!(%snapshot_id, reason = failure.operator_message,
        "a snapshot that was deleted earlier stays on the target until the next deletion");
}
