//! Does nothing, and owns the undo of the step that uploads disks.

use async_trait::async_trait;

use super::plan_disks::PlanDisks;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers;

/// Stops the transfers of this flow and removes what they made.
#[derive(Debug)]
pub(super) struct UndoUploads;

#[async_trait]
impl Step for UndoUploads {
    const NAME: &'static str = "undo_uploads";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        for disk in &plan.disks {
            transfers::drop_image(cx, &disk.host, &disk.volume_id, &disk.image).await?;
        }
        Ok(())
    }
}
