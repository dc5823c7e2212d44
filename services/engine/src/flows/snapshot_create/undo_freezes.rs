//! Does nothing, and owns the undo of the step that freezes guests.

use async_trait::async_trait;

use super::freeze_guests::thaw_all;
use crate::runner::{Step, StepContext, StepFailure};

/// Thaws every guest that this flow may have frozen.
#[derive(Debug)]
pub(super) struct UndoFreezes;

#[async_trait]
impl Step for UndoFreezes {
    const NAME: &'static str = "undo_freezes";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        // A guest that cannot be reached thaws by itself at the deadline.
        thaw_all(cx).await.map(drop)
    }
}
