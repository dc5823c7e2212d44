//! Does nothing, and owns the undo of the step after it.

use async_trait::async_trait;

use super::create_ports::{made_by_flow, remove};
use crate::runner::{Step, StepContext, StepFailure};

/// Removes every port that carries this flow's mark.
#[derive(Debug)]
pub(super) struct UndoPorts;

#[async_trait]
impl Step for UndoPorts {
    const NAME: &'static str = "undo_ports";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let made = made_by_flow(cx).await?;
        remove(cx, made.iter().map(|port| &port.id)).await
    }
}
