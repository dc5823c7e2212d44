//! Removes every Cinder snapshot that was kept for the workload.

use async_trait::async_trait;

use crate::flows::volume_snapshots;
use crate::runner::{Step, StepContext, StepFailure};

/// By mark, not by what the database remembers.
#[derive(Debug)]
pub(super) struct ReleaseVolumeSnapshots;

#[async_trait]
impl Step for ReleaseVolumeSnapshots {
    const NAME: &'static str = "release_volume_snapshots";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let kept = volume_snapshots::of_workload(cx).await?;
        volume_snapshots::remove(cx, kept.into_iter().map(|snapshot| snapshot.id)).await?;
        let forgotten = cx.db().volume_anchors_clear(cx.claim()).await?;
        let ids = forgotten
            .into_iter()
            .map(|one| one.volume_snapshot_id)
            .collect();
        Ok(cx.db().volume_anchors_forget(cx.claim(), ids).await?)
    }
}
