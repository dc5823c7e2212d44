//! The JSON around an image, in the service's shape; the manifest last.

use agent_contract::ImageFacts;
use agent_format::layout::{
    DiskName, SnapshotFile, SnapshotFolder, WorkloadFile, WorkloadFolder, index_of,
};
use agent_format::manifest::{
    DiskEntry, FORMAT_VERSION, HashUse, Manifest, ObjectRecord, SnapshotType,
};
use agent_format::{Digest, HashAlgorithm, ObjectName, SnapshotId};
use agent_target::Target;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{resource_of, vm_of};
use crate::command::catalogue::{self, Points};
use crate::command::error::{CommandError, target as failed};
use crate::command::merge;
use crate::command::session::Session;

/// An image that was written.
pub(super) struct Made<'a> {
    pub(super) folder: SnapshotFolder,
    pub(super) name: &'a str,
    pub(super) point: Option<&'a str>,
    pub(super) source: String,
    pub(super) source_identity: Option<&'a str>,
    pub(super) size_bytes: u64,
    pub(super) image: ObjectName,
    pub(super) backing: Option<&'a ObjectName>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) facts: &'a ImageFacts,
}

impl Made<'_> {
    pub(super) fn label(&self) -> String {
        let time = || self.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        self.point.map_or_else(time, str::to_owned)
    }

    fn kind(&self) -> SnapshotType {
        match self.backing {
            Some(_) => SnapshotType::Incremental,
            None => SnapshotType::Full,
        }
    }
}

pub(super) fn publish(target: &dyn Target, made: &Made<'_>) -> Result<(), CommandError> {
    put_workload(target, made)?;
    let objects = files_of(made)
        .iter()
        .map(|(file, value)| put_json(target, made.folder.file(*file), value))
        .collect::<Result<_, _>>()?;
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        workload_id: made.folder.workload_id,
        snapshot_id: made.folder.snapshot_id,
        snapshot_type: made.kind(),
        created_at: made.created_at,
        previous_snapshot_id: made.backing.and_then(snapshot_of),
        hash: HashUse {
            algorithm: HashAlgorithm::Blake3,
            is_keyed: false,
        },
        disks: vec![disk_entry(made)?],
        objects,
    };
    put_manifest(target, &manifest)
}

/// What was published by a run that could not say so: perhaps it is not durable yet. A merge may have
/// changed the manifest since.
pub(super) fn again(
    session: &Session<'_>,
    points: &Points,
    folder: SnapshotFolder,
) -> Result<ImageFacts, CommandError> {
    let _lock = merge::lock(session, &points.workload)?;
    let points = catalogue::points(session.target.as_ref(), points.workload.clone())?;
    let point = points.by_id(folder.snapshot_id).ok_or_else(|| {
        CommandError::Refused("it was merged away since: give the command again".to_owned())
    })?;
    let disk = point.disk(None)?;
    put_manifest(session.target.as_ref(), &point.manifest)?;
    Ok(ImageFacts {
        image_size_bytes: disk.image.size_bytes,
        image_blake3: disk.image.blake3.to_string(),
        index_size_bytes: disk.index.size_bytes,
        index_blake3: disk.index.blake3.to_string(),
        virtual_size_bytes: disk.virtual_size_bytes,
        cluster_size: disk.cluster_size,
        data_bytes: disk.data_bytes,
        zero_bytes: disk.zero_bytes,
        warnings: Vec::new(),
    })
}

fn put_manifest(target: &dyn Target, manifest: &Manifest) -> Result<(), CommandError> {
    let json = manifest.to_vec().map_err(|error| {
        CommandError::Refused(format!("the manifest would not be valid: {error}"))
    })?;
    let put = target.put_object(&manifest.folder().manifest(), &json);
    put.map_err(failed("write the manifest"))
}

/// The snapshot whose folder an image is in.
fn snapshot_of(image: &ObjectName) -> Option<SnapshotId> {
    let mut parts = image.parts();
    parts.find_map(|part| part.strip_prefix("snapshot_")?.parse().ok())
}

/// Written once: what the name stands for does not change.
fn put_workload(target: &dyn Target, made: &Made<'_>) -> Result<(), CommandError> {
    let folder = WorkloadFolder {
        workload_id: made.folder.workload_id,
    };
    let name = folder.file(WorkloadFile::Workload);
    if target
        .stat(&name)
        .map_err(failed("look at the target"))?
        .is_some()
    {
        return Ok(());
    }
    let vms = json!([{ "vm_id": vm_of(&made.folder), "vm_name": made.name }]);
    put_json(target, folder.file(WorkloadFile::Vms), &vms)?;
    let workload = json!({
        "id": folder.workload_id,
        "display_name": made.name,
        "display_description": null,
        "source_platform": "none",
        "created_at": made.created_at,
        "encryption": false,
        "secret_uuid": null,
    });
    put_json(target, name, &workload).map(drop)
}

fn files_of(made: &Made<'_>) -> [(SnapshotFile, Value); 5] {
    let disk = json!({
        "resource_id": resource_of(&made.folder),
        "disk": DiskName::first(),
        "size_bytes": made.size_bytes,
        "source": made.source,
    });
    let vm_id = vm_of(&made.folder).to_string();
    [
        (
            SnapshotFile::Snapshot,
            json!({
                "id": made.folder.snapshot_id,
                "workload_id": made.folder.workload_id,
                "display_name": made.label(),
                "display_description": null,
                "snapshot_type": made.kind(),
                "source": made.source,
                "source_identity": made.source_identity,
                "created_at": made.created_at,
            }),
        ),
        // No cloud, no servers: a disk alone.
        (SnapshotFile::Vms, json!([])),
        (SnapshotFile::Disks, json!({ vm_id: [disk] })),
        (
            SnapshotFile::Networks,
            json!({ "networks": [], "subnets": [], "routers": [] }),
        ),
        (SnapshotFile::SecurityGroups, json!([])),
    ]
}

fn put_json(
    target: &dyn Target,
    name: ObjectName,
    value: &Value,
) -> Result<ObjectRecord, CommandError> {
    let mut bytes = format!("{value:#}").into_bytes();
    bytes.push(b'\n');
    let put = target.put_object(&name, &bytes);
    put.map_err(failed("write what the backup is of"))?;
    Ok(ObjectRecord {
        size_bytes: bytes.len() as u64,
        blake3: Digest::of(&bytes),
        name,
    })
}

fn disk_entry(made: &Made<'_>) -> Result<DiskEntry, CommandError> {
    let facts = made.facts;
    let digest = |text: &str| {
        let parsed = text.parse::<Digest>();
        parsed.map_err(|error| CommandError::Refused(format!("{text:?}: {error}")))
    };
    let index = index_of(&made.image).map_err(|error| CommandError::Refused(error.to_string()))?;
    Ok(DiskEntry {
        vm_id: vm_of(&made.folder),
        resource_id: resource_of(&made.folder),
        disk: DiskName::first(),
        image: ObjectRecord {
            name: made.image.clone(),
            size_bytes: facts.image_size_bytes,
            blake3: digest(&facts.image_blake3)?,
        },
        index: ObjectRecord {
            name: index,
            size_bytes: facts.index_size_bytes,
            blake3: digest(&facts.index_blake3)?,
        },
        backing: made.backing.cloned(),
        size_bytes: made.size_bytes,
        virtual_size_bytes: facts.virtual_size_bytes,
        cluster_size: facts.cluster_size,
        data_bytes: facts.data_bytes,
        zero_bytes: facts.zero_bytes,
        mark: None,
    })
}
