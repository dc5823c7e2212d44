//! Ends the reservation of the filled volumes and makes them what their originals were.

use async_trait::async_trait;
use services_types::VolumeId;

use super::create_volumes::{CreateVolumes, new_disk};
use super::plan_restore::PlanRestore;
use super::planned_volumes::Content;
use crate::flows::made_volumes::{marked, release};
use crate::runner::{Step, StepContext, StepFailure};
use crate::wait::wait_for;

/// Releases every volume, and gives it its bootable flag and image properties. One that was made of an
/// image has them already.
#[derive(Debug)]
pub(super) struct ReleaseVolumes;

#[async_trait]
impl Step for ReleaseVolumes {
    const NAME: &'static str = "release_volumes";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        for volume in marked(cx).await? {
            release(cx, &volume).await?;
        }
        let made = cx.output_of::<CreateVolumes>()?;
        for planned in cx.output_of::<PlanRestore>()?.volumes {
            let id = &new_disk(&made, &planned.disk_id)?.volume_id;
            until_available(cx, id).await?;
            if matches!(planned.content, Content::Image(_)) {
                continue;
            }
            let storage = cx.tenant().await?.block_storage();
            if planned.is_bootable {
                storage.volume_set_bootable(id, true).await?;
            }
            if !planned.image_metadata.is_empty() {
                storage
                    .volume_set_image_metadata(id, &planned.image_metadata)
                    .await?;
            }
        }
        Ok(())
    }
}

async fn until_available(cx: &StepContext, id: &VolumeId) -> Result<(), StepFailure> {
    wait_for(cx, &format!("volume {id} to be released"), || async move {
        let volume = cx.tenant().await?.block_storage().volume_fetch(id).await?;
        Ok((volume.status == "available").then_some(()))
    })
    .await
}
