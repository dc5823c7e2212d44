//! Does nothing, and owns the undo of the step that writes the manifest.

use async_trait::async_trait;

use super::snapshot_id;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// Removes the snapshot's manifest and JSON files, the manifest first.
#[derive(Debug)]
pub(super) struct UndoMetadata;

#[async_trait]
impl Step for UndoMetadata {
    const NAME: &'static str = "undo_metadata";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let workload_id = cx.claim().request.workload_id();
        target_files::remove_snapshot_files(cx, workload_id, snapshot_id(cx)?).await
    }
}
