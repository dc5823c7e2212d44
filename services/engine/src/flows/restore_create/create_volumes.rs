//! Makes empty volumes and reserves them: nobody else can attach a disk that is half there.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use services_openstack::gone_is_fine;
use services_openstack::ports::{NewVolume, Volume};
use services_types::{ServerRecord, VolumeId, VolumeRecord};

use super::mark;
use super::plan_restore::PlanRestore;
use super::read_backup::ReadBackup;
use super::release_volumes::release;
use crate::FlowContext;
use crate::flows::members::FLOW_MARK;
use crate::runner::{Step, StepContext, StepFailure};
use crate::storage::VolumeStorage;
use crate::wait::{wait_for, wait_in_undo};

/// Metadata of a volume that is being restored: which original it stands for.
const ORIGINAL: &str = "backstay_original_volume";
const GIB: u64 = 1 << 30;

/// For each original volume, the one that stands for it.
#[derive(Debug)]
pub(super) struct CreateVolumes;

/// A volume to be filled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NewDisk {
    pub(super) volume_id: VolumeId,
    pub(super) storage: VolumeStorage,
}

#[async_trait]
impl Step for CreateVolumes {
    const NAME: &'static str = "create_volumes";
    type Output = BTreeMap<VolumeId, NewDisk>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let backup = cx.output_of::<ReadBackup>()?;
        let mut made: BTreeMap<_, _> = marked(cx)
            .await?
            .into_iter()
            .filter_map(|volume| {
                Some((
                    volume.metadata.get(ORIGINAL)?.parse::<VolumeId>().ok()?,
                    volume.id,
                ))
            })
            .collect();
        let mut volumes = BTreeMap::new();
        for disk in &backup.disks {
            let original = record(&plan.servers, &disk.volume_id)?;
            let id = match made.remove(&original.id) {
                Some(id) => id,
                None => create(cx, original, disk.size_bytes).await?,
            };
            volumes.insert(original.id.clone(), id);
        }
        let mut reserved = BTreeMap::new();
        for (original, id) in volumes {
            let storage = reserve(cx, &id).await?;
            reserved.insert(
                original,
                NewDisk {
                    volume_id: id,
                    storage,
                },
            );
        }
        Ok(reserved)
    }

    /// By id: the marks may be off already.
    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        remove(
            cx,
            cx.output_of::<Self>()?.values().map(|new| &new.volume_id),
        )
        .await
    }
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

/// The record of an original volume.
pub(super) fn record<'a>(
    servers: &'a [ServerRecord],
    id: &VolumeId,
) -> Result<&'a VolumeRecord, StepFailure> {
    servers
        .iter()
        .flat_map(|server| &server.disks)
        .map(|disk| &disk.volume)
        .find(|volume| volume.id == *id)
        .ok_or_else(|| StepFailure::new(format!("The backup has no record of its volume {id}")))
}

/// Volumes that this flow has made.
pub(super) async fn marked(cx: &FlowContext) -> Result<Vec<Volume>, StepFailure> {
    let storage = cx.tenant().await?.block_storage();
    Ok(storage.volumes_with_metadata(FLOW_MARK, &mark(cx)).await?)
}

/// Takes the marks of a restore off a volume.
pub(super) async fn unmark(cx: &FlowContext, id: &VolumeId) -> Result<(), StepFailure> {
    let storage = cx.tenant().await?.block_storage();
    storage.volume_metadata_remove(id, ORIGINAL).await?;
    Ok(storage.volume_metadata_remove(id, FLOW_MARK).await?)
}

async fn create(
    cx: &StepContext,
    original: &VolumeRecord,
    size_bytes: u64,
) -> Result<VolumeId, StepFailure> {
    let mut metadata = original.metadata.clone();
    metadata.insert(FLOW_MARK.to_owned(), mark(cx));
    metadata.insert(ORIGINAL.to_owned(), original.id.to_string());
    let new = NewVolume {
        name: original.name.clone(),
        description: original.description.clone(),
        size_gib: original.size_gib.max(size_bytes.div_ceil(GIB)),
        volume_type: original.volume_type.clone(),
        availability_zone: original.availability_zone.clone(),
        metadata,
    };
    Ok(cx
        .tenant()
        .await?
        .block_storage()
        .volume_create(&new)
        .await?)
}

async fn reserve(cx: &StepContext, id: &VolumeId) -> Result<VolumeStorage, StepFailure> {
    let volume = wait_for(cx, &format!("volume {id}"), || async move {
        let volume = cx.tenant().await?.block_storage().volume_fetch(id).await?;
        match volume.status.as_str() {
            "error" => Err(StepFailure::new(format!(
                "Cinder could not make volume {id}"
            ))),
            "creating" => Ok(None),
            _ => Ok(Some(volume)),
        }
    })
    .await?;
    let storage = cx.tenant().await?.block_storage();
    let attachment = match volume.attachments.first() {
        Some((attachment, None)) => storage.attachment_fetch(attachment).await?,
        _ => {
            // A name for Cinder's records; the datamovers reach the storage by themselves.
            let connector = json!({
                "host": format!("backstay-{}", mark(cx)),
                "platform": "x86_64", "os_type": "linux", "multipath": false,
            });
            storage.attachment_create(id, &connector).await?
        }
    };
    VolumeStorage::of(&attachment)
}
