//! Does nothing, and owns the undo of the step that merges images.

use async_trait::async_trait;
use tracing::warn;

use super::plan_removal::PlanRemoval;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers;

/// Stops the merges of this flow: the next attempt may ask another datamover, and no two may work on
/// one image.
#[derive(Debug)]
pub(super) struct UndoMerges;

#[async_trait]
impl Step for UndoMerges {
    const NAME: &'static str = "undo_merges";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        for (image, host) in &cx.output_of::<PlanRemoval>()?.wanted.images {
            let stopped = transfers::cancel_of(cx, "merge", host, image.as_str()).await;
            let Err(failure) = stopped else {
                continue;
            };
            if failure.gives_up_flow {
                return Err(failure);
            }
            warn!(%image, host, reason = failure.operator_message, "a merge could not be stopped");
            cx.leave_behind(format!("host {host} may still be merging image {image}"));
        }
        Ok(())
    }
}
