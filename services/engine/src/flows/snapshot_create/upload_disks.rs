//! Has the datamovers move every disk's data to the target.

use std::collections::BTreeMap;

use agent_contract::{BackupJob, ImageFacts, TransferJob, TransferOutcome};
use async_trait::async_trait;
use services_types::{SnapshotStatus, VolumeId, VolumeSnapshotId};

use super::plan::DiskPlan;
use super::plan_disks::PlanDisks;
use super::take_volume_snapshots::TakeVolumeSnapshots;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers::{self, Transfer};

/// One transfer a disk; a repeated step finds the transfers it began.
#[derive(Debug)]
pub(super) struct UploadDisks;

#[async_trait]
impl Step for UploadDisks {
    const NAME: &'static str = "upload_disks";
    type Output = BTreeMap<VolumeId, ImageFacts>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        let taken = cx.output_of::<TakeVolumeSnapshots>()?;
        cx.db()
            .snapshot_set_status(cx.claim(), SnapshotStatus::Uploading)
            .await?;
        let wanted = plan
            .disks
            .iter()
            .map(|disk| Ok((disk.volume_id.clone(), transfer(cx, disk, &taken)?)))
            .collect::<Result<Vec<_>, StepFailure>>()?;
        let outcomes = transfers::run_all(cx, wanted, |progress| async move {
            Ok(cx
                .db()
                .snapshot_set_progress(cx.claim(), progress.row("Uploading"))
                .await?)
        })
        .await?;
        let mut images = BTreeMap::new();
        for (volume_id, outcome) in outcomes {
            let TransferOutcome::Image(facts) = outcome else {
                return Err(StepFailure::new(
                    "A datamover answered a backup with something else",
                ));
            };
            images.insert(volume_id, facts);
        }
        Ok(images)
    }
}

fn transfer(
    cx: &StepContext,
    disk: &DiskPlan,
    taken: &BTreeMap<VolumeId, VolumeSnapshotId>,
) -> Result<Transfer, StepFailure> {
    let snapshot = taken.get(&disk.volume_id).ok_or_else(|| {
        StepFailure::new(format!(
            "No Cinder snapshot of volume {} was taken",
            disk.volume_id
        ))
    })?;
    let settings = cx.settings();
    let base = disk.base.as_ref();
    Ok(Transfer {
        key: disk.volume_id.to_string(),
        host: disk.host.clone(),
        what: format!("disk {} of server {}", disk.device, disk.server_id),
        job: TransferJob::Backup(BackupJob {
            source: disk
                .storage
                .snapshot(&settings.volume_snapshot_name(snapshot)),
            size_bytes: disk.size_bytes,
            since: base.map(|base| {
                disk.storage
                    .since(&settings.volume_snapshot_name(&base.volume_snapshot_id))
            }),
            image: transfers::place(cx, &disk.image),
            backing: base.map(|base| transfers::place(cx, &base.image)),
            compression: settings.compression,
        }),
    })
}
