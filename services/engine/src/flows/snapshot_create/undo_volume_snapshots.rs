//! Does nothing, and owns the undo of the step that takes Cinder snapshots.

use async_trait::async_trait;

use crate::flows::volume_snapshots;
use crate::runner::{Step, StepContext, StepFailure};

/// Removes every Cinder snapshot that carries this flow's mark.
#[derive(Debug)]
pub(super) struct UndoVolumeSnapshots;

#[async_trait]
impl Step for UndoVolumeSnapshots {
    const NAME: &'static str = "undo_volume_snapshots";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        volume_snapshots::remove_marked(cx).await
    }
}
