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
        let mut removable = Vec::new();
        for snapshot in volume_snapshots::marked(cx).await? {
            match volume_snapshots::obstacle(cx, &snapshot).await? {
                Some(why) => cx.leave_behind(why),
                None => removable.push(snapshot.id),
            }
        }
        volume_snapshots::remove(cx, removable).await
    }
}
