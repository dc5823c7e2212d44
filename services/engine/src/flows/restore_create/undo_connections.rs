//! Does nothing, and owns the undo of the step after it.

use async_trait::async_trait;
use tracing::warn;

use super::connect_volumes::disconnect;
use crate::runner::{Step, StepContext, StepFailure};

/// Disconnects hosts from volumes. One that does not let go is named, and the volume's own undo says
/// whether it could be removed all the same.
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
        let Err(failure) = disconnect(cx).await else {
            return Ok(());
        };
        if failure.gives_up_flow {
            return Err(failure);
        }
        warn!(reason = failure.operator_message, "a connection may stay");
        cx.leave_behind(failure.tenant_message);
        Ok(())
    }
}
