//! Does nothing, and owns the undo of the step after it.

use async_trait::async_trait;

use crate::flows::made_volumes::{marked, remove};
use crate::runner::{Step, StepContext, StepFailure};

/// Releases and removes every volume that carries this flow's mark.
#[derive(Debug)]
pub(super) struct UndoVolumes;

#[async_trait]
impl Step for UndoVolumes {
    const NAME: &'static str = "undo_volumes";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let made = marked(cx).await?;
        remove(cx, made.iter().map(|volume| &volume.id)).await
    }
}
