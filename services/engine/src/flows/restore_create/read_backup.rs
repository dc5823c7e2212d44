//! Reads the backup from the target: what it says there counts, not what the database remembers.

use agent_format::layout::SnapshotFile;
use agent_format::manifest::{DiskEntry, Manifest};
use async_trait::async_trait;
use serde::Deserialize;
use services_types::{
    DiskId, NetworkRecord, RouterRecord, SecurityGroupRecord, ServerRecord, SnapshotId,
    SubnetRecord, Topology, WorkloadId,
};

use super::backup::{Backup, BackupDisk};
use super::snapshot_id;
use crate::flows::chain;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// Reads manifest, topology and the chain of every disk.
#[derive(Debug)]
pub(super) struct ReadBackup;

#[derive(Deserialize)]
struct Networks {
    networks: Vec<NetworkRecord>,
    subnets: Vec<SubnetRecord>,
    routers: Vec<RouterRecord>,
}

#[async_trait]
impl Step for ReadBackup {
    const NAME: &'static str = "read_backup";
    type Output = Backup;

    async fn run(&self, cx: &StepContext) -> Result<Backup, StepFailure> {
        let snapshot_id = snapshot_id(cx)?;
        cx.db()
            .restore_begin(cx.claim(), &cx.settings().name)
            .await?;
        let workload_id = cx.claim().request.workload_id();
        let manifest = target_files::read_manifest(cx, workload_id, snapshot_id).await?;
        let topology = topology(cx, workload_id, snapshot_id, &manifest).await?;
        let older = chain::older_manifests(cx, workload_id, &manifest).await?;
        let disks = manifest
            .disks
            .iter()
            .map(|disk| backup_disk(disk, &older))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Backup { topology, disks })
    }
}

async fn topology(
    cx: &StepContext,
    workload_id: WorkloadId,
    snapshot_id: SnapshotId,
    manifest: &Manifest,
) -> Result<Topology, StepFailure> {
    let folder = target_files::snapshot_folder(workload_id, snapshot_id);
    let file = |file| folder.file(file);
    let servers: Vec<ServerRecord> =
        target_files::read_recorded(cx, manifest, file(SnapshotFile::Vms)).await?;
    let networks: Networks =
        target_files::read_recorded(cx, manifest, file(SnapshotFile::Networks)).await?;
    let security_groups: Vec<SecurityGroupRecord> =
        target_files::read_recorded(cx, manifest, file(SnapshotFile::SecurityGroups)).await?;
    Ok(Topology {
        servers,
        networks: networks.networks,
        subnets: networks.subnets,
        routers: networks.routers,
        security_groups,
    })
}

fn backup_disk(disk: &DiskEntry, older: &[Manifest]) -> Result<BackupDisk, StepFailure> {
    let bad = |e| StepFailure::because("The backup's manifest has a bad id", &e);
    let chain = chain::entries(disk, older)?;
    Ok(BackupDisk {
        server_id: disk.vm_id.to_string().parse().map_err(bad)?,
        disk_id: DiskId::from_uuid(disk.resource_id.0),
        size_bytes: disk.size_bytes,
        chain: chain.iter().map(|entry| entry.image.name.clone()).collect(),
        digests: chain.into_iter().map(chain::digests).collect(),
    })
}
