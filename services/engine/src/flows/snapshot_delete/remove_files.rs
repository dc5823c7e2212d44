//! Removes manifests, JSON files and images.

use async_trait::async_trait;

use super::plan_removal::PlanRemoval;
use crate::runner::{Step, StepContext, StepFailure};
use crate::{hosts, target_files, transfers};

/// The manifest of each snapshot goes before its images.
#[derive(Debug)]
pub(super) struct RemoveFiles;

#[async_trait]
impl Step for RemoveFiles {
    const NAME: &'static str = "remove_files";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let workload_id = cx.claim().request.workload_id();
        let removal = cx.output_of::<PlanRemoval>()?;
        for files in &removal.now {
            // While nobody can remove the images, the backup stands.
            let host = hosts::any_writer(cx).await?;
            target_files::remove_snapshot_files(cx, workload_id, files.snapshot_id).await?;
            for image in &files.images {
                transfers::remove_image(cx, &host, image).await?;
            }
            target_files::remove_leftovers(cx, workload_id, files.snapshot_id).await?;
        }
        Ok(())
    }
}
