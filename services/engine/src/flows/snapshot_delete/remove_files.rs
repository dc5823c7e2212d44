//! Removes what is left in the snapshot's folder.

use async_trait::async_trait;
use services_types::SnapshotId;

use super::free_images::FreeImages;
use super::snapshot_id;
use crate::context::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// JSON files, and what an interrupted write has left; not while something builds on the snapshot.
#[derive(Debug)]
pub(super) struct RemoveFiles;

#[async_trait]
impl Step for RemoveFiles {
    const NAME: &'static str = "remove_files";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        match cx.output_of::<FreeImages>()? {
            true => remove_files(cx, snapshot_id(cx)?).await,
            false => Ok(()),
        }
    }
}

pub(super) async fn remove_files(
    cx: &FlowContext,
    snapshot_id: SnapshotId,
) -> Result<(), StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    target_files::remove_snapshot_files(cx, workload_id, snapshot_id).await?;
    target_files::remove_leftovers(cx, workload_id, snapshot_id).await
}
