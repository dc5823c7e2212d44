//! Does nothing, and owns the undo of the step that takes points in time.

use async_trait::async_trait;
use tracing::warn;

use super::take_points::end_all;
use crate::runner::{Step, StepContext, StepFailure};

/// Ends every point that this flow may have taken; the marks of the earlier backup stay good.
#[derive(Debug)]
pub(super) struct UndoPoints;

#[async_trait]
impl Step for UndoPoints {
    const NAME: &'static str = "undo_points";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        for (server_id, failure) in end_all(cx, false).await? {
            warn!(%server_id, reason = failure.operator_message, "a point in time stays");
            cx.leave_behind(failure.tenant_message);
        }
        Ok(())
    }
}
