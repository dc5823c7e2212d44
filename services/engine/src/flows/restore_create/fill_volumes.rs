//! Has the datamovers write every disk's data onto its new volume.

use std::collections::BTreeMap;

use agent_contract::{RestoreJob, TransferJob, TransferOutcome};
use async_trait::async_trait;
use services_types::{DiskId, ServerId};

use super::backup::BackupDisk;
use super::choose_hosts::{ChooseHosts, host_of};
use super::create_volumes::{CreateVolumes, NewDisk, new_disk};
use super::read_backup::ReadBackup;
use crate::flows::volume_connections;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers::{self, Transfer};

/// One transfer a disk; a repeated step finds the transfers it began.
#[derive(Debug)]
pub(super) struct FillVolumes;

#[async_trait]
impl Step for FillVolumes {
    const NAME: &'static str = "fill_volumes";
    /// Bytes written, by disk.
    type Output = BTreeMap<DiskId, u64>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let hosts = cx.output_of::<ChooseHosts>()?;
        let new = cx.output_of::<CreateVolumes>()?;
        let mut wanted = Vec::new();
        for disk in &cx.output_of::<ReadBackup>()?.disks {
            wanted.push((disk.disk_id, transfer(cx, &hosts, disk, &new)?));
        }
        let outcomes = transfers::run_all(cx, wanted, |progress| async move {
            Ok(cx
                .db()
                .restore_set_progress(cx.claim(), progress.row("Restoring"))
                .await?)
        })
        .await?;
        let mut written = BTreeMap::new();
        for (disk_id, outcome) in outcomes {
            let TransferOutcome::Filled { written_bytes } = outcome else {
                return Err(StepFailure::new(
                    "A datamover answered a restore with something else",
                ));
            };
            written.insert(disk_id, written_bytes);
        }
        Ok(written)
    }
}

fn transfer(
    cx: &StepContext,
    hosts: &BTreeMap<ServerId, String>,
    disk: &BackupDisk,
    new: &BTreeMap<DiskId, NewDisk>,
) -> Result<Transfer, StepFailure> {
    let NewDisk { volume_id, filling } = new_disk(new, &disk.disk_id)?;
    let filling = filling.as_ref().ok_or_else(|| {
        StepFailure::new(format!("Volume {volume_id} was not reserved to be filled"))
    })?;
    let connection = volume_connections::id(cx, &disk.disk_id);
    Ok(Transfer {
        key: disk.disk_id.to_string(),
        host: host_of(hosts, &disk.server_id)?,
        what: format!("volume {volume_id} (once {})", disk.disk_id),
        job: TransferJob::Restore(RestoreJob {
            chain: disk
                .chain
                .iter()
                .map(|image| transfers::place(cx, image))
                .collect(),
            size_bytes: disk.size_bytes,
            destination: filling.storage.whole(connection),
            is_destination_zeroed: true,
            digests: disk.digests.clone(),
        }),
    })
}
