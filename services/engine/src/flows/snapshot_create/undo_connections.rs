//! Does nothing, and owns the undo of the step that connects volumes.

use async_trait::async_trait;

use super::disconnect_volumes::let_go;
use crate::runner::{Step, StepContext, StepFailure};

/// Disconnects every volume that this flow may have connected, and removes those that it made.
#[derive(Debug)]
pub(super) struct UndoConnections;

#[async_trait]
impl Step for UndoConnections {
    const NAME: &'static str = "undo_connections";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        for failure in let_go(cx).await? {
            cx.leave_behind(failure.tenant_message);
        }
        Ok(())
    }
}
