//! Decides for each disk whether it is full or builds on the newest snapshot.

use std::collections::{BTreeMap, BTreeSet};

use agent_format::layout::{DiskName, SnapshotFolder};
use agent_format::manifest::{DiskEntry, Manifest};
use agent_format::{DiskSnapshotId, ObjectName};
use async_trait::async_trait;
use services_types::{
    DiskId, DiskKeeper, DiskRecord, FlowRequest, ServerRecord, SnapshotId, SnapshotType, VolumeId,
    VolumeRecord, VolumeSnapshotId,
};
use uuid::Uuid;

use super::choose_target::choose_target;
use super::plan::{Changes, DiskBase, DiskPlan, DiskSource, SnapshotPlan, VolumePlan};
use super::read_topology::ReadTopology;
use crate::flows::chain;
use crate::runner::{Step, StepContext, StepFailure};
use crate::storage::VolumeStorage;
use crate::target_files;

const GIB: u64 = 1 << 30;

/// Makes the plan that the later steps follow.
#[derive(Debug)]
pub(super) struct PlanDisks;

/// What earlier snapshots left to build on.
#[derive(Default)]
struct Past {
    snapshot_id: Option<SnapshotId>,
    /// Those of the newest snapshot.
    images: BTreeMap<DiskId, PastImage>,
    /// Cinder snapshots they were made from, as far as those still stand.
    anchors: BTreeMap<VolumeId, VolumeSnapshotId>,
}

/// The image of a disk in the newest snapshot.
struct PastImage {
    name: ObjectName,
    /// The disk's size when it was made.
    size_bytes: u64,
    /// By which the disk's host may know what has changed since.
    mark: Option<String>,
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
            for disk in server.disks.iter().filter(|disk| !disk.is_excluded) {
                // A volume attached to two members is one volume: its data is moved once.
                if planned.insert(disk.id().map_err(no_uuid)?) {
                    let plan = disk_plan(cx, &folder, server, disk, &past).await?;
                    warnings.extend(lost_anchor(&plan));
                    disks.push(plan);
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
        let storage = cx.tenant().await?.block_storage();
        match storage.snapshot_fetch(&anchor.volume_snapshot_id).await {
            Ok(snapshot) if snapshot.status == "available" => {
                anchors.insert(anchor.volume_id, anchor.volume_snapshot_id);
            }
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Past {
        snapshot_id: Some(newest.id),
        images: images(manifest),
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

/// What the owner should know of an incremental that costs more than it had to.
fn lost_anchor(disk: &DiskPlan) -> Option<String> {
    let DiskSource::Volume(volume) = &disk.source else {
        return None;
    };
    let is_by_hash = disk.base.as_ref()?.changes == Changes::ByHash;
    (is_by_hash && !volume.storage.is_copied()).then(|| {
        format!(
            "The Cinder snapshot of volume {} that was kept for this incremental is gone: the volume was read whole and compared with its last backup",
            volume.volume_id
        )
    })
}

fn images(manifest: Manifest) -> BTreeMap<DiskId, PastImage> {
    let image = |disk: DiskEntry| {
        let past = PastImage {
            name: disk.image.name,
            size_bytes: disk.size_bytes,
            mark: disk.mark,
        };
        (DiskId::from_uuid(disk.resource_id.0), past)
    };
    manifest.disks.into_iter().map(image).collect()
}

async fn disk_plan(
    cx: &StepContext,
    folder: &SnapshotFolder,
    server: &ServerRecord,
    disk: &DiskRecord,
    past: &Past,
) -> Result<DiskPlan, StepFailure> {
    let (source, size_bytes) = match &disk.keeper {
        DiskKeeper::Volume(volume) => {
            let source = DiskSource::Volume(volume_plan(cx, volume).await?);
            (source, volume.size_gib * GIB)
        }
        DiskKeeper::Nova(nova) => (DiskSource::Nova, nova.size_bytes),
    };
    let disk_id = disk.id().map_err(no_uuid)?;
    let base = past
        .images
        .get(&disk_id)
        // An image that is larger than its disk is now would show data that is no longer there.
        .filter(|image| image.size_bytes <= size_bytes)
        .map(|image| DiskBase {
            image: image.name.clone(),
            changes: changes(&source, image, past),
        });
    Ok(DiskPlan {
        server_id: server.id.clone(),
        host: server.host.clone(),
        device: disk.device.clone(),
        disk_id,
        size_bytes,
        source,
        image: image_name(folder, server, disk)?,
        base,
    })
}

async fn volume_plan(cx: &StepContext, volume: &VolumeRecord) -> Result<VolumePlan, StepFailure> {
    let storage = cx.tenant().await?.block_storage();
    let attachment = storage.attachment_fetch(&volume.attachment_id).await?;
    Ok(VolumePlan {
        volume_id: volume.id.clone(),
        size_gib: volume.size_gib,
        attachment_id: volume.attachment_id.clone(),
        storage: VolumeStorage::of(&attachment, cx.settings())?,
        is_snapshot_by_nova: VolumeStorage::is_snapshot_by_nova(&attachment),
    })
}

fn changes(source: &DiskSource, image: &PastImage, past: &Past) -> Changes {
    let known = match source {
        // A mark that came with a volume's image would be none of its storage's.
        DiskSource::Volume(volume) => past
            .anchors
            .get(&volume.volume_id)
            .filter(|_| !volume.storage.is_copied())
            .map(|id| Changes::Since(id.clone())),
        DiskSource::Nova => image.mark.clone().map(Changes::Mark),
    };
    known.unwrap_or(Changes::ByHash)
}

fn no_uuid(error: impl std::error::Error + 'static) -> StepFailure {
    StepFailure::because("The cloud's ids are no UUIDs", &error)
}

/// Derived, not drawn: a repeated step names the same image.
fn image_name(
    folder: &SnapshotFolder,
    server: &ServerRecord,
    disk: &DiskRecord,
) -> Result<ObjectName, StepFailure> {
    let vm_id = server.id.as_str().parse::<Uuid>().map_err(no_uuid)?;
    let disk_id = disk.id().map_err(no_uuid)?;
    let disk_id = disk_id.as_uuid();
    let name = DiskName::new(disk.device.as_str())
        .map_err(|e| StepFailure::because("The disk's device name is not usable", &e))?;
    let id = DiskSnapshotId(Uuid::new_v5(&folder.snapshot_id.0, disk_id.as_bytes()));
    Ok(folder.image(vm_id.into(), (*disk_id).into(), &name, id))
}
