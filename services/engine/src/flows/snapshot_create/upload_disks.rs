//! Has the datamovers move every disk's data to the target.

use std::collections::BTreeMap;

use agent_contract::{BackupJob, DiskLocation, ImageFacts, TransferJob, TransferOutcome};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use services_types::{DiskId, SnapshotStatus, VolumeId, VolumeSnapshotId};

use super::connect_volumes::{ConnectVolumes, taken_of};
use super::plan::{Changes, DiskPlan, DiskSource, VolumePlan};
use super::plan_disks::PlanDisks;
use super::take_points::{TakePoints, TakenPoints};
use super::take_volume_snapshots::TakeVolumeSnapshots;
use crate::flows::volume_connections;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers::{self, Transfer};

/// One transfer a disk; a repeated step finds the transfers it began.
#[derive(Debug)]
pub(super) struct UploadDisks;

/// A disk that lies on the target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UploadedDisk {
    /// The disk's true size.
    pub(super) size_bytes: u64,
    pub(super) image: ImageFacts,
}

/// What the steps before it have learnt of the disks.
struct Sources {
    snapshots: BTreeMap<VolumeId, VolumeSnapshotId>,
    connected: BTreeMap<DiskId, u64>,
    points: TakenPoints,
}

#[async_trait]
impl Step for UploadDisks {
    const NAME: &'static str = "upload_disks";
    type Output = BTreeMap<DiskId, UploadedDisk>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        let sources = Sources {
            snapshots: cx.output_of::<TakeVolumeSnapshots>()?,
            connected: cx.output_of::<ConnectVolumes>()?,
            points: cx.output_of::<TakePoints>()?,
        };
        cx.db()
            .snapshot_set_status(cx.claim(), SnapshotStatus::Uploading)
            .await?;
        let mut wanted = Vec::with_capacity(plan.disks.len());
        let mut sizes = BTreeMap::new();
        for disk in &plan.disks {
            let job = job(cx, disk, &sources)?;
            sizes.insert(disk.disk_id, job.size_bytes);
            wanted.push((disk.disk_id, transfer(disk, job)));
        }
        let outcomes = transfers::run_all(cx, wanted, |progress| async move {
            Ok(cx
                .db()
                .snapshot_set_progress(cx.claim(), progress.row("Uploading"))
                .await?)
        })
        .await?;
        let mut uploaded = BTreeMap::new();
        for (disk_id, outcome) in outcomes {
            let (TransferOutcome::Image(image), Some(size_bytes)) = (outcome, sizes.get(&disk_id))
            else {
                return Err(StepFailure::new(
                    "A datamover answered a backup with something else",
                ));
            };
            let size_bytes = *size_bytes;
            uploaded.insert(disk_id, UploadedDisk { size_bytes, image });
        }
        Ok(uploaded)
    }
}

fn transfer(disk: &DiskPlan, job: BackupJob) -> Transfer {
    Transfer {
        key: disk.disk_id.to_string(),
        host: disk.host.clone(),
        what: disk.what(),
        job: TransferJob::Backup(job),
    }
}

fn job(cx: &StepContext, disk: &DiskPlan, sources: &Sources) -> Result<BackupJob, StepFailure> {
    let (source, size_bytes, since) = match &disk.source {
        DiskSource::Volume(volume) => (
            location(cx, disk, volume, &sources.snapshots)?,
            size_of_volume(disk, volume, &sources.connected)?,
            since_snapshot(cx, disk, volume),
        ),
        DiskSource::Nova => {
            let taken = sources.points.disks.get(&disk.disk_id);
            let taken = taken.ok_or_else(|| {
                StepFailure::new(format!("No point in time of {} was taken", disk.what()))
            })?;
            let source = DiskLocation::Point {
                point: taken.point,
                device: disk.device.clone(),
            };
            (source, taken.size_bytes, taken.since.clone())
        }
    };
    let base = disk.base.as_ref();
    Ok(BackupJob {
        source,
        size_bytes,
        since,
        image: transfers::place(cx, &disk.image),
        backing: base.map(|base| transfers::place(cx, &base.image)),
        compression: cx.settings().compression,
    })
}

fn location(
    cx: &StepContext,
    disk: &DiskPlan,
    volume: &VolumePlan,
    snapshots: &BTreeMap<VolumeId, VolumeSnapshotId>,
) -> Result<DiskLocation, StepFailure> {
    let snapshot = taken_of(snapshots, &volume.volume_id)?;
    let connection = volume_connections::id(cx, &disk.disk_id);
    Ok(volume
        .storage
        .snapshot(&snapshot, connection, cx.settings()))
}

/// Cinder counts whole GiB; who is connected to a volume sees its true size.
fn size_of_volume(
    disk: &DiskPlan,
    volume: &VolumePlan,
    connected: &BTreeMap<DiskId, u64>,
) -> Result<u64, StepFailure> {
    if !volume.storage.is_connected() {
        return Ok(disk.size_bytes);
    }
    connected.get(&disk.disk_id).copied().ok_or_else(|| {
        StepFailure::new(format!(
            "No host is connected to volume {}",
            volume.volume_id
        ))
    })
}

fn since_snapshot(cx: &StepContext, disk: &DiskPlan, volume: &VolumePlan) -> Option<String> {
    match &disk.base.as_ref()?.changes {
        Changes::Since(earlier) => volume.storage.since(earlier, cx.settings()),
        Changes::Mark(_) | Changes::ByHash => None,
    }
}
