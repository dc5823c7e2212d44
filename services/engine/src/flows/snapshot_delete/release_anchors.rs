//! Removes the Cinder snapshots that were kept for the incremental after this snapshot.

use async_trait::async_trait;

use super::snapshot_id;
use crate::flows::volume_snapshots;
use crate::runner::{Step, StepContext, StepFailure};

/// Only the newest snapshot has any: the next incremental cannot build on what is deleted.
#[derive(Debug)]
pub(super) struct ReleaseAnchors;

#[async_trait]
impl Step for ReleaseAnchors {
    const NAME: &'static str = "release_anchors";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let workload_id = cx.claim().request.workload_id();
        let deleted = snapshot_id(cx)?;
        let anchors = cx.db().volume_anchors_fetch(workload_id).await?;
        if !anchors.iter().any(|anchor| anchor.snapshot_id == deleted) {
            return Ok(());
        }
        let superseded = cx.db().volume_anchors_clear(cx.claim()).await?;
        let ids: Vec<_> = superseded
            .into_iter()
            .map(|one| one.volume_snapshot_id)
            .collect();
        volume_snapshots::remove(cx, ids.clone()).await?;
        Ok(cx.db().volume_anchors_forget(cx.claim(), ids).await?)
    }
}
