//! The JSON side of a backup: what the engine itself reads and writes on the target. The target's
//! calls block, so each runs on a thread for such calls.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};

use agent_format::index::{IndexReadError, IndexReader};
use agent_format::layout::{SnapshotFile, SnapshotFolder};
use agent_format::manifest::{Manifest, ObjectRecord};
use agent_format::{Digest, ObjectName};
use agent_target::{ErrorKind, ReadAt, Target, TargetError};
use serde_json::Value;
use services_types::{SnapshotId, WorkloadId};

use crate::context::FlowContext;
use crate::runner::StepFailure;

/// No description of a backup is larger: some ten thousand servers.
const LARGEST_JSON: u64 = 256 << 20;

/// The folder of a snapshot.
pub(crate) fn snapshot_folder(workload_id: WorkloadId, snapshot_id: SnapshotId) -> SnapshotFolder {
    SnapshotFolder {
        workload_id: (*workload_id.as_uuid()).into(),
        snapshot_id: (*snapshot_id.as_uuid()).into(),
    }
}

async fn on_target<T, F>(cx: &FlowContext, doing: &str, call: F) -> Result<T, StepFailure>
where
    T: Send + 'static,
    F: FnOnce(&dyn Target) -> Result<T, TargetError> + Send + 'static,
{
    cx.lease().hold().await;
    let target = cx.target()?;
    tokio::task::spawn_blocking(move || call(target.as_ref()))
        .await
        .map_err(|e| StepFailure::because(format!("Failed to {doing}"), &e))?
        .map_err(|e| StepFailure {
            is_missing_object: e.kind == ErrorKind::NotFound,
            ..StepFailure::because(format!("Failed to {doing}: {}", tenant_words(&e)), &e)
        })
}

/// The kind of trouble, without the target's paths.
fn tenant_words(error: &TargetError) -> &'static str {
    use ErrorKind as Kind;
    match error.kind {
        Kind::NotFound => "it is not on the backup target",
        Kind::Full => "the backup target is full",
        Kind::ReadOnly => "the backup target is read-only",
        Kind::Denied => "the backup target does not let us",
        Kind::Unavailable => "the backup target cannot be reached",
        Kind::Corrupt => "what lies on the backup target is damaged",
        _ => "the backup target failed",
    }
}

/// Fails, in words for the tenant, if nothing can be written to the target now.
pub(crate) async fn expect_writable(cx: &FlowContext) -> Result<(), StepFailure> {
    on_target(cx, "write to the backup target", |target| {
        target.check_writable()
    })
    .await
}

/// Writes one object, whole or not at all.
pub(crate) async fn put(
    cx: &FlowContext,
    name: ObjectName,
    bytes: Vec<u8>,
) -> Result<(), StepFailure> {
    on_target(cx, "write the backup's description", move |target| {
        target.put_object(&name, &bytes)
    })
    .await
}

/// Writes one JSON object; gives what the manifest says of it.
pub(crate) async fn put_json(
    cx: &FlowContext,
    name: ObjectName,
    value: &Value,
) -> Result<ObjectRecord, StepFailure> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| StepFailure::because("A description cannot be written as JSON", &e))?;
    let record = ObjectRecord {
        name: name.clone(),
        size_bytes: bytes.len() as u64,
        blake3: Digest::of(&bytes),
    };
    put(cx, name, bytes).await?;
    Ok(record)
}

/// Reads a snapshot's manifest.
pub(crate) async fn read_manifest(
    cx: &FlowContext,
    workload_id: WorkloadId,
    snapshot_id: SnapshotId,
) -> Result<Manifest, StepFailure> {
    let folder = snapshot_folder(workload_id, snapshot_id);
    read_manifest_at(cx, &folder, folder.manifest()).await
}

async fn read_manifest_at(
    cx: &FlowContext,
    folder: &SnapshotFolder,
    name: ObjectName,
) -> Result<Manifest, StepFailure> {
    let bytes = on_target(cx, "read the backup's manifest", move |target| {
        target.get_object(&name, LARGEST_JSON)
    })
    .await?;
    let manifest = Manifest::from_slice(&bytes).map_err(|e| StepFailure {
        is_damage: true,
        ..StepFailure::because("The backup's manifest cannot be used", &e)
    })?;
    let is_its_own =
        manifest.snapshot_id == folder.snapshot_id && manifest.workload_id == folder.workload_id;
    if !is_its_own {
        return Err(StepFailure {
            is_damage: true,
            ..StepFailure::new("The manifest in the snapshot's folder is of another snapshot")
        });
    }
    Ok(manifest)
}

/// What a snapshot's images are, whether it is a backup or its deletion has begun.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) manifest: Manifest,
    /// Its deletion has begun: it is no backup any more.
    pub(crate) is_withdrawn: bool,
}

/// Reads what a snapshot's images are, also of one whose deletion has begun.
pub(crate) async fn read_description(
    cx: &FlowContext,
    workload_id: WorkloadId,
    snapshot_id: SnapshotId,
) -> Result<Description, StepFailure> {
    let folder = snapshot_folder(workload_id, snapshot_id);
    match read_manifest_at(cx, &folder, folder.manifest()).await {
        Ok(manifest) => Ok(Description {
            manifest,
            is_withdrawn: false,
        }),
        Err(failure) if failure.is_missing_object => Ok(Description {
            manifest: read_manifest_at(cx, &folder, folder.withdrawn_manifest()).await?,
            is_withdrawn: true,
        }),
        Err(failure) => Err(failure),
    }
}

/// Writes what a snapshot's images have become, where it was read from.
pub(crate) async fn put_description(
    cx: &FlowContext,
    description: &Description,
) -> Result<(), StepFailure> {
    let manifest = &description.manifest;
    let folder = manifest.folder();
    let name = match description.is_withdrawn {
        true => folder.withdrawn_manifest(),
        false => folder.manifest(),
    };
    let bytes = manifest
        .to_vec()
        .map_err(|e| StepFailure::because("The manifest would not be valid", &e))?;
    put(cx, name, bytes).await
}

/// From here on the snapshot is no backup any more; what its images are can still be read.
pub(crate) async fn withdraw_manifest(
    cx: &FlowContext,
    workload_id: WorkloadId,
    snapshot_id: SnapshotId,
) -> Result<(), StepFailure> {
    let folder = snapshot_folder(workload_id, snapshot_id);
    on_target(cx, "withdraw the backup's manifest", move |target| {
        let bytes = match target.get_object(&folder.manifest(), LARGEST_JSON) {
            Ok(bytes) => bytes,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        target.put_object(&folder.withdrawn_manifest(), &bytes)?;
        target.delete(&folder.manifest())
    })
    .await
}

/// Reads one of a snapshot's JSON files, as its manifest recorded it: other bytes are damage.
pub(crate) async fn read_recorded<T: serde::de::DeserializeOwned>(
    cx: &FlowContext,
    manifest: &Manifest,
    name: ObjectName,
) -> Result<T, StepFailure> {
    let record = manifest
        .objects
        .iter()
        .find(|record| record.name == name)
        .cloned();
    let record = record
        .ok_or_else(|| StepFailure::new(format!("The backup's manifest does not name {name}")))?;
    let bytes = on_target(cx, "read the backup's description", move |target| {
        target.get_object(&name, LARGEST_JSON)
    })
    .await?;
    if Digest::of(&bytes) != record.blake3 {
        return Err(StepFailure {
            is_damage: true,
            ..StepFailure::new(format!(
                "{} is damaged: it is not what the manifest says",
                record.name
            ))
        });
    }
    serde_json::from_slice(&bytes)
        .map_err(|e| StepFailure::because(format!("{} cannot be understood", record.name), &e))
}

/// Removes a snapshot's manifest, then its JSON files; gone already is success.
pub(crate) async fn remove_snapshot_files(
    cx: &FlowContext,
    workload_id: WorkloadId,
    snapshot_id: SnapshotId,
) -> Result<(), StepFailure> {
    let folder = snapshot_folder(workload_id, snapshot_id);
    let names =
        std::iter::once(folder.manifest()).chain(SnapshotFile::ALL.map(|file| folder.file(file)));
    for name in names {
        remove(cx, name).await?;
    }
    Ok(())
}

/// Images in the folder of a snapshot that has no manifest that can be read: what its deletion or its
/// undo could not remove.
pub(crate) async fn images_left(
    cx: &FlowContext,
    workload_id: WorkloadId,
    snapshot_id: SnapshotId,
) -> Result<Vec<ObjectName>, StepFailure> {
    let folder = snapshot_folder(workload_id, snapshot_id);
    let mut described = vec![folder.manifest(), folder.withdrawn_manifest()];
    described.extend(SnapshotFile::ALL.map(|file| folder.file(file)));
    let root = folder.name();
    let listed = on_target(cx, "look for images", move |target| {
        target.list(Some(&root))
    });
    let names = listed.await?.into_iter().map(|object| object.name);
    // An index goes with its image, and is what may be left of the two.
    let images = names
        .filter(|name| !described.contains(name))
        .filter_map(|name| match name.as_str().strip_suffix(".index") {
            Some(image) => ObjectName::new(image).ok(),
            None => Some(name),
        });
    Ok(images.collect::<BTreeSet<_>>().into_iter().collect())
}

/// Removes all that a snapshot's folder still holds, unfinished images among it; gone already is success.
pub(crate) async fn remove_leftovers(
    cx: &FlowContext,
    workload_id: WorkloadId,
    snapshot_id: SnapshotId,
) -> Result<(), StepFailure> {
    let folder = snapshot_folder(workload_id, snapshot_id).name();
    on_target(cx, "remove what is left of the backup", move |target| {
        target.delete_folder(&folder)
    })
    .await
}

/// Removes one object; gone already is success.
pub(crate) async fn remove(cx: &FlowContext, name: ObjectName) -> Result<(), StepFailure> {
    on_target(cx, "remove the backup's description", move |target| {
        target.delete(&name)
    })
    .await
}

/// Fails unless the object has this length.
pub(crate) async fn expect_length(
    cx: &FlowContext,
    name: &ObjectName,
    expected: u64,
) -> Result<(), StepFailure> {
    let asked = name.clone();
    let stat = on_target(cx, "look at an image", move |target| target.stat(&asked)).await?;
    match stat {
        Some(stat) if stat.size_bytes == expected => Ok(()),
        Some(stat) => Err(StepFailure {
            is_damage: true,
            ..StepFailure::new(format!(
                "{name} has {} bytes on the target, {expected} were written",
                stat.size_bytes
            ))
        }),
        None => Err(StepFailure {
            is_damage: true,
            ..StepFailure::new(format!("{name} is not on the target"))
        }),
    }
}

/// Reads an index to its end; fails unless it is whole and has this digest.
pub(crate) async fn expect_index(
    cx: &FlowContext,
    name: &ObjectName,
    expected: &str,
) -> Result<(), StepFailure> {
    let asked = name.clone();
    let digest = on_target(cx, "read an index", move |target| {
        let index = target.open_image(&asked)?;
        Ok(index_digest(index.as_ref()).map_err(|e| e.to_string()))
    })
    .await?
    .map_err(|e| StepFailure::new(format!("{name} is damaged: {e}")))?;
    if digest.to_string() == expected {
        Ok(())
    } else {
        Err(StepFailure::new(format!("{name} is not what was written")))
    }
}

/// The digest of a whole index; an index that is not whole is an error.
fn index_digest(object: &dyn ReadAt) -> Result<Digest, IndexReadError> {
    let mut reader = IndexReader::open(BufReader::new(Stream { object, offset: 0 }))?;
    for record in &mut reader {
        record?;
    }
    match reader.summary() {
        Some(summary) => Ok(summary.digest),
        None => Err(IndexReadError::Io {
            offset: 0,
            source: io::Error::other("it ends without a trailer"),
        }),
    }
}

/// An object read from its beginning.
struct Stream<'a> {
    object: &'a dyn ReadAt,
    offset: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.object.size_bytes().saturating_sub(self.offset);
        let length = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(part) = buffer.get_mut(..length) else {
            return Ok(0);
        };
        self.object.read_exact_at(part, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}
