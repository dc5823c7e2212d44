//! Does nothing, and owns the undo of the step that has images read.

use async_trait::async_trait;
use tracing::warn;

use super::plan_verification::PlanVerification;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers;

/// Stops the transfers. They change nothing, so one that cannot be stopped is left to end by itself.
#[derive(Debug)]
pub(super) struct UndoVerifies;

#[async_trait]
impl Step for UndoVerifies {
    const NAME: &'static str = "undo_verifies";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        for (image, planned) in &cx.output_of::<PlanVerification>()?.images {
            let host = &planned.host;
            match transfers::cancel_of(cx, "verify", host, image.as_str()).await {
                Err(failure) if failure.gives_up_flow => return Err(failure),
                Err(failure) => {
                    warn!(%image, host, reason = failure.operator_message, "a verification goes on");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}
