//! Does nothing, and owns the undo of the step after it.

use async_trait::async_trait;

use super::create_servers::{made_by_flow, remove};
use crate::runner::{Step, StepContext, StepFailure};

/// Removes every server that carries this flow's mark; volumes and ports go with their own undo.
#[derive(Debug)]
pub(super) struct UndoServers;

#[async_trait]
impl Step for UndoServers {
    const NAME: &'static str = "undo_servers";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let made = made_by_flow(cx).await?;
        remove(cx, made.iter().map(|server| &server.id)).await
    }
}
