//! Reads the backup from the target: what it says there counts, not what the database remembers.

use agent_format::ObjectName;
use agent_format::layout::SnapshotFile;
use agent_format::manifest::{DiskEntry, Manifest};
use async_trait::async_trait;
use serde::Deserialize;
use services_types::{
    NetworkRecord, RouterRecord, SecurityGroupRecord, ServerRecord, SnapshotId, SubnetRecord,
    Topology, WorkloadId,
};

use super::backup::{Backup, BackupDisk};
use super::snapshot_id;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// A chain longer than this is taken for a ring.
const LONGEST_CHAIN: usize = 10_000;

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
        let older = older_manifests(cx, workload_id, &manifest).await?;
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

/// Manifests of the snapshots that this one builds on, newest first.
async fn older_manifests(
    cx: &StepContext,
    workload_id: WorkloadId,
    newest: &Manifest,
) -> Result<Vec<Manifest>, StepFailure> {
    let mut older = Vec::new();
    let mut next = newest.previous_snapshot_id;
    while let Some(id) = next {
        if older.len() >= LONGEST_CHAIN {
            return Err(StepFailure::new(
                "The backup's chain of snapshots has no end",
            ));
        }
        let id = SnapshotId::from_uuid(id.0);
        let manifest = target_files::read_manifest(cx, workload_id, id).await?;
        next = manifest.previous_snapshot_id;
        older.push(manifest);
    }
    Ok(older)
}

fn backup_disk(disk: &DiskEntry, older: &[Manifest]) -> Result<BackupDisk, StepFailure> {
    let bad = |e| StepFailure::because("The backup's manifest has a bad id", &e);
    Ok(BackupDisk {
        server_id: disk.vm_id.to_string().parse().map_err(bad)?,
        volume_id: disk.resource_id.to_string().parse().map_err(bad)?,
        size_bytes: disk.size_bytes,
        chain: chain(disk, older)?,
    })
}

fn chain(disk: &DiskEntry, older: &[Manifest]) -> Result<Vec<ObjectName>, StepFailure> {
    let mut chain = vec![disk.image.name.clone()];
    let mut next = disk.backing.clone();
    let mut images = older.iter().flat_map(|manifest| &manifest.disks);
    while let Some(wanted) = next {
        // Each image's parent is in an older snapshot: one pass, newest to oldest, finds them all.
        let entry = images
            .find(|entry| entry.image.name == wanted)
            .ok_or_else(|| {
                StepFailure::new(format!(
                    "Image {wanted}, which the backup builds on, is in no manifest"
                ))
            })?;
        next = entry.backing.clone();
        chain.push(wanted);
    }
    Ok(chain)
}
