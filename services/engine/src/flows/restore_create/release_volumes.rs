//! Ends the reservation of the filled volumes and makes them what their originals were.

use async_trait::async_trait;
use services_openstack::gone_is_fine;
use services_openstack::ports::Volume;
use services_types::VolumeId;

use super::create_volumes::{CreateVolumes, marked, record};
use super::plan_restore::PlanRestore;
use crate::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};
use crate::wait::wait_for;

/// Releases every volume, and gives it its bootable flag and image properties.
#[derive(Debug)]
pub(super) struct ReleaseVolumes;

#[async_trait]
impl Step for ReleaseVolumes {
    const NAME: &'static str = "release_volumes";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        for volume in marked(cx).await? {
            release(cx, &volume).await?;
        }
        for (original, new) in cx.output_of::<CreateVolumes>()? {
            let original = record(&plan.servers, &original)?;
            until_available(cx, &new.volume_id).await?;
            let storage = cx.tenant().await?.block_storage();
            if original.is_bootable {
                storage.volume_set_bootable(&new.volume_id, true).await?;
            }
            if !original.image_metadata.is_empty() {
                storage
                    .volume_set_image_metadata(&new.volume_id, &original.image_metadata)
                    .await?;
            }
        }
        Ok(())
    }
}

/// Deletes the attachments that are for no server: ours.
pub(super) async fn release(cx: &FlowContext, volume: &Volume) -> Result<(), StepFailure> {
    for (attachment, server) in &volume.attachments {
        if server.is_none() {
            let storage = cx.tenant().await?.block_storage();
            gone_is_fine(storage.attachment_delete(attachment).await)?;
        }
    }
    Ok(())
}

async fn until_available(cx: &StepContext, id: &VolumeId) -> Result<(), StepFailure> {
    wait_for(cx, &format!("volume {id} to be released"), || async move {
        let volume = cx.tenant().await?.block_storage().volume_fetch(id).await?;
        Ok((volume.status == "available").then_some(()))
    })
    .await
}
