//! Does nothing, and owns the undo of the step that uploads disks.

use async_trait::async_trait;
use futures::future::join_all;
use tracing::warn;

use super::plan_disks::PlanDisks;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers;

/// Stops the transfers of this flow and removes what they made. What a target does not let go stays,
/// by name: without a manifest it is no backup, and the Cinder snapshots must go nevertheless.
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
        let drops = plan
            .disks
            .iter()
            .map(|disk| transfers::drop_image(cx, &disk.host, &disk.disk_id, &disk.image));
        for (disk, dropped) in plan.disks.iter().zip(join_all(drops).await) {
            let Err(failure) = dropped else {
                continue;
            };
            if failure.gives_up_flow {
                return Err(failure);
            }
            warn!(disk_id = %disk.disk_id, reason = failure.operator_message,
                "an unfinished image stays on the target");
            cx.leave_behind(format!(
                "an unfinished image of {} may lie on the backup target",
                disk.what()
            ));
        }
        Ok(())
    }
}
