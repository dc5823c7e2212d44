//! Looks at what lies on the target, from the engine's side of it, before it is called a backup.

use agent_format::layout::index_of;
use async_trait::async_trait;

use super::plan_disks::PlanDisks;
use super::upload_disks::UploadDisks;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// Every image and index has the length its datamover told, and every index is whole.
#[derive(Debug)]
pub(super) struct VerifyImages;

#[async_trait]
impl Step for VerifyImages {
    const NAME: &'static str = "verify_images";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        let images = cx.output_of::<UploadDisks>()?;
        for disk in &plan.disks {
            let Some(uploaded) = images.get(&disk.disk_id) else {
                return Err(StepFailure::new(format!("No image of {}", disk.what())));
            };
            let facts = &uploaded.image;
            let index = index_of(&disk.image)
                .map_err(|e| StepFailure::because("An image's name is too long", &e))?;
            target_files::expect_length(cx, &disk.image, facts.image_size_bytes).await?;
            target_files::expect_length(cx, &index, facts.index_size_bytes).await?;
            target_files::expect_index(cx, &index, &facts.index_blake3).await?;
        }
        Ok(())
    }
}
