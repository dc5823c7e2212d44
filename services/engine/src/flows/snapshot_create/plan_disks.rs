//! Decides for each disk whether it is full or builds on the newest snapshot.

use std::collections::{BTreeMap, BTreeSet};

use agent_format::layout::{DiskName, SnapshotFolder};
use agent_format::manifest::Manifest;
use agent_format::{DiskSnapshotId, ObjectName};
use async_trait::async_trait;
use services_types::{
    DiskRecord, FlowRequest, ServerId, ServerRecord, SnapshotId, SnapshotType, VolumeId,
    VolumeSnapshotId,
};
use uuid::Uuid;

use super::choose_target::choose_target;
use super::plan::{DiskBase, DiskPlan, SnapshotPlan};
use super::read_topology::ReadTopology;
use crate::flows::chain;
use crate::runner::{Step, StepContext, StepFailure};
use crate::storage::VolumeStorage;
use crate::target_files;

const GIB: u64 = 1 << 30;

/// Makes the plan that the later steps follow.
#[derive(Debug)]
pub(super) struct PlanDisks;

/// The image of each disk, with the disk's size when it was made.
type Images = BTreeMap<(ServerId, VolumeId), (ObjectName, u64)>;

/// What earlier snapshots left to build on.
#[derive(Default)]
struct Past {
    snapshot_id: Option<SnapshotId>,
    /// Those of the newest snapshot.
    images: Images,
    /// Cinder snapshots they were made from, as far as those still stand.
    anchors: BTreeMap<VolumeId, VolumeSnapshotId>,
}

#[async_trait]
impl Step for PlanDisks {
    const NAME: &'static str = "plan_disks";
    type Output = SnapshotPlan;

    async fn run(&self, cx: &StepContext) -> Result<SnapshotPlan, StepFailure> {
        let FlowRequest::SnapshotCreate {
            snapshot_id,
            workload_id,
            is_full,
        } = cx.claim().request
        else {
            return Err(StepFailure::new("The flow's request is of another kind"));
        };
        let mut warnings = Vec::new();
        let past = if is_full {
            Past::default()
        } else {
            past(cx, &mut warnings).await?
        };
        let topology = cx.output_of::<ReadTopology>()?;
        if past.snapshot_id.is_none() {
            choose_target(cx, &topology).await?;
        }
        // Before a guest is frozen for nothing.
        target_files::expect_writable(cx).await?;
        cx.db()
            .snapshot_set_target(cx.claim(), &cx.target_id())
            .await?;
        let folder = SnapshotFolder {
            workload_id: (*workload_id.as_uuid()).into(),
            snapshot_id: (*snapshot_id.as_uuid()).into(),
        };
        let mut planned = BTreeSet::new();
        let mut disks = Vec::new();
        for server in &topology.servers {
            for disk in &server.disks {
                // A volume attached to two members is one volume: its data is moved once.
                if planned.insert(disk.volume.id.clone()) {
                    disks.push(disk_plan(cx, &folder, server, disk, &past).await?);
                }
            }
        }
        let is_incremental = disks.iter().any(|disk| disk.base.is_some());
        let backing_snapshot_id = past.snapshot_id.filter(|_| is_incremental);
        let snapshot_type = if is_incremental {
            SnapshotType::Incremental
        } else {
            SnapshotType::Full
        };
        cx.db()
            .snapshot_set_chain(cx.claim(), snapshot_type, backing_snapshot_id)
            .await?;
        Ok(SnapshotPlan {
            backing_snapshot_id,
            disks,
            warnings,
        })
    }
}

async fn past(cx: &StepContext, warnings: &mut Vec<String>) -> Result<Past, StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    let Some(newest) = cx.db().snapshot_newest_available(workload_id).await? else {
        return Ok(Past::default());
    };
    let whole = async {
        cx.use_target_of(newest.target_id.as_deref());
        expect_undamaged(cx, newest.id).await?;
        let manifest = target_files::read_manifest(cx, workload_id, newest.id).await?;
        chain::expect_whole(cx, workload_id, &manifest).await?;
        Ok::<_, StepFailure>(manifest)
    };
    let manifest = match whole.await {
        Ok(manifest) => manifest,
        Err(failure) => {
            warnings.push(format!(
                "Snapshot {} cannot be built upon, so this one is full: {failure}",
                newest.id
            ));
            return Ok(Past::default());
        }
    };
    let mut anchors = BTreeMap::new();
    for anchor in cx.db().volume_anchors_fetch(workload_id).await? {
        if anchor.snapshot_id != newest.id {
            continue;
        }
        let found = cx
            .tenant()
            .await?
            .block_storage()
            .snapshot_fetch(&anchor.volume_snapshot_id);
        match found.await {
            Ok(snapshot) if snapshot.status == "available" => {
                anchors.insert(anchor.volume_id, anchor.volume_snapshot_id);
            }
            Ok(_) => warnings.push(lost_anchor(&anchor.volume_id)),
            Err(error) if error.is_not_found() => warnings.push(lost_anchor(&anchor.volume_id)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Past {
        snapshot_id: Some(newest.id),
        images: images(&manifest)?,
        anchors,
    })
}

/// Fails if a verification found damage in the chain.
async fn expect_undamaged(cx: &StepContext, newest: SnapshotId) -> Result<(), StepFailure> {
    for snapshot in cx.db().snapshot_chain(newest).await? {
        if let Some(damage) = snapshot.damage {
            let message = format!("snapshot {} is damaged: {damage}", snapshot.id);
            return Err(StepFailure::new(message));
        }
    }
    Ok(())
}

fn lost_anchor(volume_id: &VolumeId) -> String {
    format!(
        "The Cinder snapshot of volume {volume_id} that was kept for this incremental is gone: its disk is backed up in full"
    )
}

fn images(manifest: &Manifest) -> Result<Images, StepFailure> {
    let mut images = BTreeMap::new();
    for disk in &manifest.disks {
        let bad = |e| StepFailure::because("The newest snapshot's manifest has a bad id", &e);
        let server_id = disk.vm_id.to_string().parse::<ServerId>().map_err(bad)?;
        let volume_id = disk
            .resource_id
            .to_string()
            .parse::<VolumeId>()
            .map_err(bad)?;
        images.insert(
            (server_id, volume_id),
            (disk.image.name.clone(), disk.size_bytes),
        );
    }
    Ok(images)
}

async fn disk_plan(
    cx: &StepContext,
    folder: &SnapshotFolder,
    server: &ServerRecord,
    disk: &DiskRecord,
    past: &Past,
) -> Result<DiskPlan, StepFailure> {
    let volume = &disk.volume;
    let attachment = cx
        .tenant()
        .await?
        .block_storage()
        .attachment_fetch(&volume.attachment_id)
        .await?;
    let size_bytes = volume.size_gib * GIB;
    let base = past
        .images
        .get(&(server.id.clone(), volume.id.clone()))
        // An image that is larger than its disk is now would show data that is no longer there.
        .filter(|(_, base_size)| *base_size <= size_bytes)
        .and_then(|(image, _)| {
            let volume_snapshot_id = past.anchors.get(&volume.id)?.clone();
            Some(DiskBase {
                volume_snapshot_id,
                image: image.clone(),
            })
        });
    Ok(DiskPlan {
        server_id: server.id.clone(),
        host: server.host.clone(),
        device: disk.device.clone(),
        volume_id: volume.id.clone(),
        size_bytes,
        storage: VolumeStorage::of(&attachment)?,
        image: image_name(folder, server, disk)?,
        base,
    })
}

/// Derived, not drawn: a repeated step names the same image.
fn image_name(
    folder: &SnapshotFolder,
    server: &ServerRecord,
    disk: &DiskRecord,
) -> Result<ObjectName, StepFailure> {
    let no_uuid = |e| StepFailure::because("The cloud's ids are no UUIDs", &e);
    let vm_id = server.id.as_str().parse::<Uuid>().map_err(no_uuid)?;
    let volume_id = disk.volume.id.as_str().parse::<Uuid>().map_err(no_uuid)?;
    let name = DiskName::new(disk.device.as_str())
        .map_err(|e| StepFailure::because("The disk's device name is not usable", &e))?;
    let id = DiskSnapshotId(Uuid::new_v5(&folder.snapshot_id.0, volume_id.as_bytes()));
    Ok(folder.image(vm_id.into(), volume_id.into(), &name, id))
}
