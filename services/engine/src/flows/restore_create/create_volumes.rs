//! Makes the volumes and reserves those that are to be filled: nobody else can attach a disk that is
//! half there.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use services_openstack::ports::{NewVolume, Volume, VolumeSource};
use services_types::{AttachmentId, DiskId, VolumeId};

use super::choose_hosts::{ChooseHosts, host_of};
use super::mark;
use super::plan_restore::PlanRestore;
use super::planned_volumes::{Content, PlannedVolume};
use crate::FlowContext;
use crate::flows::made_volumes;
use crate::flows::members::FLOW_MARK;
use crate::runner::{Step, StepContext, StepFailure};
use crate::storage::VolumeStorage;
use crate::wait::wait_for_long;

/// Metadata of a volume that is being restored: which disk it stands for.
const ORIGINAL: &str = "backstay_original_volume";

/// For each disk, the volume that stands for it.
#[derive(Debug)]
pub(super) struct CreateVolumes;

/// A new volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NewDisk {
    pub(super) volume_id: VolumeId,
    /// How it is filled, if it is.
    pub(super) filling: Option<Filling>,
}

/// A volume that is reserved for being filled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Filling {
    /// Its reservation.
    pub(super) attachment_id: AttachmentId,
    pub(super) storage: VolumeStorage,
}

#[async_trait]
impl Step for CreateVolumes {
    const NAME: &'static str = "create_volumes";
    type Output = BTreeMap<DiskId, NewDisk>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let hosts = cx.output_of::<ChooseHosts>()?;
        let mut made: BTreeMap<_, _> = made_volumes::marked(cx)
            .await?
            .into_iter()
            .filter_map(|volume| {
                Some((
                    volume.metadata.get(ORIGINAL)?.parse::<DiskId>().ok()?,
                    volume.id,
                ))
            })
            .collect();
        let mut ids = Vec::with_capacity(plan.volumes.len());
        for planned in &plan.volumes {
            let id = match made.remove(&planned.disk_id) {
                Some(id) => id,
                None => create(cx, planned).await?,
            };
            ids.push(id);
        }
        let mut volumes = BTreeMap::new();
        for (planned, id) in plan.volumes.iter().zip(ids) {
            let volume = until_made(cx, &id).await?;
            let filling = match planned.content {
                Content::Backup => {
                    let host = host_of(&hosts, &planned.server_id)?;
                    Some(reserve(cx, &volume, &host).await?)
                }
                Content::Image(_) | Content::Nothing => None,
            };
            let new = NewDisk {
                volume_id: id,
                filling,
            };
            volumes.insert(planned.disk_id, new);
        }
        Ok(volumes)
    }

    /// By id: the marks may be off already.
    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let made = cx.output_of::<Self>()?;
        made_volumes::remove(cx, made.values().map(|new| &new.volume_id)).await
    }
}

/// The volume that stands for a disk.
pub(super) fn new_disk<'a>(
    made: &'a BTreeMap<DiskId, NewDisk>,
    id: &DiskId,
) -> Result<&'a NewDisk, StepFailure> {
    made.get(id)
        .ok_or_else(|| StepFailure::new(format!("No new volume stands for disk {id}")))
}

/// Takes the marks of a restore off a volume.
pub(super) async fn unmark(cx: &FlowContext, id: &VolumeId) -> Result<(), StepFailure> {
    let storage = cx.tenant().await?.block_storage();
    storage.volume_metadata_remove(id, ORIGINAL).await?;
    Ok(storage.volume_metadata_remove(id, FLOW_MARK).await?)
}

async fn create(cx: &StepContext, planned: &PlannedVolume) -> Result<VolumeId, StepFailure> {
    let mut metadata = planned.metadata.clone();
    metadata.insert(FLOW_MARK.to_owned(), mark(cx));
    metadata.insert(ORIGINAL.to_owned(), planned.disk_id.to_string());
    let new = NewVolume {
        name: planned.name.clone(),
        description: planned.description.clone(),
        size_gib: planned.size_gib,
        volume_type: planned.volume_type.clone(),
        availability_zone: planned.availability_zone.clone(),
        metadata,
        source: match &planned.content {
            Content::Backup | Content::Nothing => VolumeSource::Empty,
            Content::Image(id) => VolumeSource::Image(id.clone()),
        },
    };
    let storage = cx.tenant().await?.block_storage();
    Ok(storage.volume_create(&new).await?)
}

async fn until_made(cx: &StepContext, id: &VolumeId) -> Result<Volume, StepFailure> {
    wait_for_long(cx, &format!("volume {id}"), || async move {
        let volume = cx.tenant().await?.block_storage().volume_fetch(id).await?;
        match volume.status.as_str() {
            "error" => Err(StepFailure::new(format!(
                "Cinder could not make volume {id}"
            ))),
            "creating" | "downloading" => Ok(None),
            _ => Ok(Some(volume)),
        }
    })
    .await
}

async fn reserve(cx: &StepContext, volume: &Volume, host: &str) -> Result<Filling, StepFailure> {
    let attachment = made_volumes::reserve(cx, volume, host).await?;
    Ok(Filling {
        storage: VolumeStorage::of(&attachment, cx.settings())?,
        attachment_id: attachment.id,
    })
}
