//! Volumes that a flow has made, found by the mark they carry from their creation.

use services_openstack::gone_is_fine;
use services_openstack::ports::{Attachment, Volume};
use services_types::VolumeId;

use super::members::FLOW_MARK;
use super::volume_connections;
use crate::context::FlowContext;
use crate::runner::StepFailure;
use crate::wait::wait_in_undo;

/// Those that this flow has made.
pub(super) async fn marked(cx: &FlowContext) -> Result<Vec<Volume>, StepFailure> {
    let flow = cx.claim().flow_id.to_string();
    let storage = cx.tenant().await?.block_storage();
    Ok(storage.volumes_with_metadata(FLOW_MARK, &flow).await?)
}

/// Reserves a volume for a host, so that nobody else can attach it; or finds it reserved.
pub(super) async fn reserve(
    cx: &FlowContext,
    volume: &Volume,
    host: &str,
) -> Result<Attachment, StepFailure> {
    if let Some((attachment, None)) = volume.attachments.first() {
        let storage = cx.tenant().await?.block_storage();
        return Ok(storage.attachment_fetch(attachment).await?);
    }
    let connector = volume_connections::connector(cx, host).await?;
    let storage = cx.tenant().await?.block_storage();
    Ok(storage.attachment_create(&volume.id, &connector).await?)
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

/// Releases and removes these volumes and sees them gone; gone already is success.
pub(super) async fn remove(
    cx: &FlowContext,
    ids: impl Iterator<Item = &VolumeId> + Send,
) -> Result<(), StepFailure> {
    for id in ids {
        wait_in_undo(cx, &format!("volume {id} to be deleted"), || async move {
            let storage = cx.tenant().await?.block_storage();
            let volume = match storage.volume_fetch(id).await {
                Err(error) if error.is_not_found() => return Ok(Some(())),
                Err(error) => return Err(error.into()),
                Ok(volume) => volume,
            };
            release(cx, &volume).await?;
            match volume.status.as_str() {
                "error_deleting" => Err(StepFailure::new(format!(
                    "Cinder cannot delete volume {id}"
                ))),
                "available" | "error" => {
                    gone_is_fine(storage.volume_delete(id).await)?;
                    Ok(None)
                }
                // Still being made, released or deleted.
                _ => Ok(None),
            }
        })
        .await?;
    }
    Ok(())
}
