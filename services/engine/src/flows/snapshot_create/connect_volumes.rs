//! Connects hosts to the volumes that they do not reach by themselves. Where a volume's snapshots cannot
//! be read, a volume is made of the snapshot, reserved for the host, and read instead.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::try_join_all;
use services_openstack::ports::{Attachment, NewVolume, Volume, VolumeSource};
use services_types::{DiskId, VolumeId, VolumeSnapshotId};

use super::plan::{DiskPlan, VolumePlan};
use super::plan_disks::PlanDisks;
use super::snapshot_id;
use super::take_volume_snapshots::TakeVolumeSnapshots;
use crate::flows::members::{FLOW_MARK, WORKLOAD_MARK};
use crate::flows::{made_volumes, volume_connections};
use crate::runner::{Step, StepContext, StepFailure};
use crate::wait::wait_for_long;

/// Metadata of a volume that was made of a snapshot: of which volume.
const COPY_MARK: &str = "backstay_copy_of";

/// Connects, or finds what this flow has connected.
#[derive(Debug)]
pub(super) struct ConnectVolumes;

#[async_trait]
impl Step for ConnectVolumes {
    const NAME: &'static str = "connect_volumes";
    /// Sizes as the hosts see them.
    type Output = BTreeMap<DiskId, u64>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        let connected = plan.volumes().filter(|(_, it)| it.storage.is_connected());
        let connected: Vec<_> = connected.collect();
        // Cinder is not asked for copies where there are none.
        let has_copies = connected.iter().any(|(_, it)| it.storage.is_copied());
        let copies = if has_copies {
            made_volumes::marked(cx).await?
        } else {
            Vec::new()
        };
        let all = connected
            .into_iter()
            .map(|(disk, volume)| connect(cx, disk, volume, &copies));
        Ok(try_join_all(all).await?.into_iter().collect())
    }
}

async fn connect(
    cx: &StepContext,
    disk: &DiskPlan,
    volume: &VolumePlan,
    copies: &[Volume],
) -> Result<(DiskId, u64), StepFailure> {
    let attachment = if volume.storage.is_copied() {
        let is_its = |copy: &&Volume| {
            copy.metadata.get(COPY_MARK).map(String::as_str) == Some(volume.volume_id.as_str())
        };
        let found = copies.iter().find(is_its).map(|copy| copy.id.clone());
        let id = match found {
            Some(id) => id,
            None => copy(cx, volume).await?,
        };
        reserved(cx, &id, &disk.host).await?
    } else {
        // The server's own: all that its host needs to find the share.
        let storage = cx.tenant().await?.block_storage();
        storage.attachment_fetch(&volume.attachment_id).await?
    };
    let size = volume_connections::open(cx, &disk.host, &disk.disk_id, &attachment).await?;
    Ok((disk.disk_id, size))
}

async fn copy(cx: &StepContext, volume: &VolumePlan) -> Result<VolumeId, StepFailure> {
    let taken = cx.output_of::<TakeVolumeSnapshots>()?;
    let new = NewVolume {
        name: format!("backstay-{}", snapshot_id(cx)?),
        description: "Made by Backstay to be read while a backup runs, and removed after it"
            .to_owned(),
        size_gib: volume.size_gib,
        volume_type: None,
        availability_zone: None,
        metadata: BTreeMap::from([
            (FLOW_MARK.to_owned(), cx.claim().flow_id.to_string()),
            (
                WORKLOAD_MARK.to_owned(),
                cx.claim().request.workload_id().to_string(),
            ),
            (COPY_MARK.to_owned(), volume.volume_id.to_string()),
        ]),
        source: VolumeSource::Snapshot(taken_of(&taken, &volume.volume_id)?),
    };
    let storage = cx.tenant().await?.block_storage();
    Ok(storage.volume_create(&new).await?)
}

/// The Cinder snapshot that was taken of a volume.
pub(super) fn taken_of(
    taken: &BTreeMap<VolumeId, VolumeSnapshotId>,
    volume_id: &VolumeId,
) -> Result<VolumeSnapshotId, StepFailure> {
    taken.get(volume_id).cloned().ok_or_else(|| {
        StepFailure::new(format!(
            "No Cinder snapshot of volume {volume_id} was taken"
        ))
    })
}

async fn reserved(cx: &StepContext, id: &VolumeId, host: &str) -> Result<Attachment, StepFailure> {
    let made = wait_for_long(cx, &format!("copy {id} of a volume"), || async move {
        let volume = cx.tenant().await?.block_storage().volume_fetch(id).await?;
        match volume.status.as_str() {
            "error" => Err(StepFailure::new(format!(
                "Cinder could not make volume {id} of a snapshot"
            ))),
            "creating" => Ok(None),
            _ => Ok(Some(volume)),
        }
    })
    .await?;
    made_volumes::reserve(cx, &made, host).await
}
