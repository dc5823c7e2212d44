//! Writes the JSON that makes the images a backup that anyone can read. The manifest comes last: where
//! there is no manifest there is no backup.

use std::collections::BTreeMap;

use agent_format::layout::{DiskName, SnapshotFile, SnapshotFolder, WorkloadFile, index_of};
use agent_format::manifest::{
    DiskEntry, FORMAT_VERSION, HashUse, Manifest, ObjectRecord, SnapshotType,
};
use agent_format::{Digest, HashAlgorithm, ObjectName};
use async_trait::async_trait;
use serde_json::json;
use services_types::{DiskId, Topology};
use uuid::Uuid;

use super::plan::{DiskPlan, SnapshotPlan};
use super::plan_disks::PlanDisks;
use super::read_topology::ReadTopology;
use super::snapshot_id;
use super::take_points::{TakePoints, TakenPoints};
use super::upload_disks::{UploadDisks, UploadedDisk};
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// Writes the workload's and the snapshot's JSON, then the manifest.
#[derive(Debug)]
pub(super) struct WriteManifest;

#[async_trait]
impl Step for WriteManifest {
    const NAME: &'static str = "write_manifest";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let workload_id = cx.claim().request.workload_id();
        let folder = target_files::snapshot_folder(workload_id, snapshot_id(cx)?);
        write_workload(cx, &folder).await?;
        let objects = write_snapshot(cx, &folder, &cx.output_of::<ReadTopology>()?).await?;
        let plan = cx.output_of::<PlanDisks>()?;
        let images = cx.output_of::<UploadDisks>()?;
        let points = cx.output_of::<TakePoints>()?;
        let snapshot = cx.db().snapshot_fetch(snapshot_id(cx)?).await?;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            workload_id: folder.workload_id,
            snapshot_id: folder.snapshot_id,
            snapshot_type: snapshot_type(&plan),
            created_at: snapshot.created_at,
            previous_snapshot_id: plan.backing_snapshot_id.map(|id| (*id.as_uuid()).into()),
            hash: HashUse {
                algorithm: HashAlgorithm::Blake3,
                is_keyed: false,
            },
            disks: plan
                .disks
                .iter()
                .map(|disk| disk_entry(disk, &images, &points))
                .collect::<Result<_, _>>()?,
            objects,
        };
        let bytes = manifest
            .to_vec()
            .map_err(|e| StepFailure::because("The manifest would not be valid", &e))?;
        target_files::put(cx, folder.manifest(), bytes).await
    }
}

fn snapshot_type(plan: &SnapshotPlan) -> SnapshotType {
    if plan.is_incremental() {
        SnapshotType::Incremental
    } else {
        SnapshotType::Full
    }
}

async fn write_workload(cx: &StepContext, folder: &SnapshotFolder) -> Result<(), StepFailure> {
    let id = cx.claim().request.workload_id();
    let workload = cx.db().workload_fetch(id).await?;
    let members = cx.db().workload_members(id).await?;
    let metadata = cx.db().workload_metadata(id).await?;
    let of_workload = agent_format::layout::WorkloadFolder {
        workload_id: folder.workload_id,
    };
    let text = json!({
        "id": workload.id,
        "display_name": workload.name,
        "display_description": workload.description,
        "user_id": workload.user_id,
        "project_id": workload.project_id,
        "workload_type_id": workload.workload_type_id,
        "source_platform": workload.source_platform,
        "jobschedule": workload.schedule,
        "metadata": metadata,
        "created_at": workload.created_at,
        "encryption": false,
        "secret_uuid": null,
    });
    target_files::put_json(cx, of_workload.file(WorkloadFile::Workload), &text).await?;
    let vms: Vec<_> = members
        .iter()
        .map(|member| json!({ "vm_id": member.server_id, "vm_name": member.name }))
        .collect();
    target_files::put_json(cx, of_workload.file(WorkloadFile::Vms), &json!(vms)).await?;
    Ok(())
}

async fn write_snapshot(
    cx: &StepContext,
    folder: &SnapshotFolder,
    topology: &Topology,
) -> Result<Vec<ObjectRecord>, StepFailure> {
    let snapshot = cx.db().snapshot_fetch(snapshot_id(cx)?).await?;
    let disks: BTreeMap<_, _> = topology
        .servers
        .iter()
        .map(|server| (server.id.to_string(), &server.disks))
        .collect();
    let files = [
        (
            SnapshotFile::Snapshot,
            json!({
                "id": snapshot.id,
                "workload_id": snapshot.workload_id,
                "display_name": snapshot.name,
                "display_description": snapshot.description,
                "snapshot_type": snapshot_type(&cx.output_of::<PlanDisks>()?),
                "user_id": snapshot.user_id,
                "project_id": snapshot.project_id,
                "created_at": snapshot.created_at,
            }),
        ),
        (SnapshotFile::Vms, json!(topology.servers)),
        (SnapshotFile::Disks, json!(disks)),
        (
            SnapshotFile::Networks,
            json!({
                "networks": topology.networks,
                "subnets": topology.subnets,
                "routers": topology.routers,
            }),
        ),
        (
            SnapshotFile::SecurityGroups,
            json!(topology.security_groups),
        ),
    ];
    let mut records = Vec::with_capacity(files.len());
    for (file, value) in files {
        records.push(target_files::put_json(cx, folder.file(file), &value).await?);
    }
    Ok(records)
}

fn disk_entry(
    disk: &DiskPlan,
    images: &BTreeMap<DiskId, UploadedDisk>,
    points: &TakenPoints,
) -> Result<DiskEntry, StepFailure> {
    let uploaded = images
        .get(&disk.disk_id)
        .ok_or_else(|| StepFailure::new(format!("No image of {}", disk.what())))?;
    let facts = &uploaded.image;
    let no_uuid = |e| StepFailure::because("The cloud's ids are no UUIDs", &e);
    let index = index_of(&disk.image)
        .map_err(|e| StepFailure::because("An image's name is too long", &e))?;
    Ok(DiskEntry {
        vm_id: disk
            .server_id
            .as_str()
            .parse::<Uuid>()
            .map_err(no_uuid)?
            .into(),
        resource_id: (*disk.disk_id.as_uuid()).into(),
        disk: DiskName::new(disk.device.as_str())
            .map_err(|e| StepFailure::because("The disk's device name is not usable", &e))?,
        image: record(
            disk.image.clone(),
            facts.image_size_bytes,
            &facts.image_blake3,
        )?,
        index: record(index, facts.index_size_bytes, &facts.index_blake3)?,
        backing: disk.base.as_ref().map(|base| base.image.clone()),
        size_bytes: uploaded.size_bytes,
        virtual_size_bytes: facts.virtual_size_bytes,
        cluster_size: facts.cluster_size,
        data_bytes: facts.data_bytes,
        zero_bytes: facts.zero_bytes,
        mark: points
            .disks
            .get(&disk.disk_id)
            .and_then(|taken| taken.mark.clone()),
    })
}

fn record(name: ObjectName, size_bytes: u64, blake3: &str) -> Result<ObjectRecord, StepFailure> {
    let blake3: Digest = blake3
        .parse()
        .map_err(|e| StepFailure::because("A datamover told a digest that is none", &e))?;
    Ok(ObjectRecord {
        name,
        size_bytes,
        blake3,
    })
}
