//! Does nothing, and owns the undo of the step that takes Cinder snapshots.

use async_trait::async_trait;

use crate::flows::volume_snapshots;
use crate::runner::{Step, StepContext, StepFailure};

/// Removes every Cinder snapshot that carries this flow's mark. One that cannot be removed now is left to
/// the next backup of the workload, which removes all of the workload that it has not taken itself.
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
        let marked = volume_snapshots::marked(cx).await?;
        let ids = marked.into_iter().map(|snapshot| snapshot.id);
        for why in volume_snapshots::remove_what_can_be(cx, ids).await? {
            cx.leave_behind(why);
        }
        Ok(())
    }
}
