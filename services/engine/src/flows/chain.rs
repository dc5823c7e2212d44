//! Which images a backup is made of: its own, and those it builds on down to the full ones.

use agent_contract::ImageDigests;
use agent_format::manifest::{DiskEntry, Manifest};
use services_types::{SnapshotId, WorkloadId};

use crate::context::FlowContext;
use crate::runner::StepFailure;
use crate::target_files;

/// A chain longer than this is taken for a ring.
const LONGEST_CHAIN: usize = 10_000;

/// Manifests of the snapshots that this one builds on, newest first.
pub(super) async fn older_manifests(
    cx: &FlowContext,
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
        // Also of one whose deletion has begun: its images stay until nothing builds on them.
        let older_one = target_files::read_description(cx, workload_id, id).await?;
        next = older_one.manifest.previous_snapshot_id;
        older.push(older_one.manifest);
    }
    Ok(older)
}

/// What the manifests say of an image, for a datamover to compare with what it finds.
pub(super) fn digests(entry: &DiskEntry) -> ImageDigests {
    ImageDigests {
        image_blake3: entry.image.blake3.to_string(),
        index_blake3: entry.index.blake3.to_string(),
    }
}

/// The entries of a disk's images, newest first, the full one last.
pub(super) fn entries<'a>(
    disk: &'a DiskEntry,
    older: &'a [Manifest],
) -> Result<Vec<&'a DiskEntry>, StepFailure> {
    let mut chain = vec![disk];
    let mut next = disk.backing.as_ref();
    let mut candidates = older.iter().flat_map(|manifest| &manifest.disks);
    while let Some(wanted) = next {
        // Each image's parent is in an older snapshot: one pass, newest to oldest, finds them all.
        let found = candidates.find(|entry| entry.image.name == *wanted);
        let entry = found.ok_or_else(|| {
            StepFailure::new(format!(
                "Image {wanted}, which the backup builds on, is in no manifest"
            ))
        })?;
        next = entry.backing.as_ref();
        chain.push(entry);
    }
    Ok(chain)
}

/// Fails unless every image and index that a restore of this backup would read is on the target, as long
/// as its manifest says: what builds on a chain with a gap could not be restored.
pub(super) async fn expect_whole(
    cx: &FlowContext,
    workload_id: WorkloadId,
    newest: &Manifest,
) -> Result<(), StepFailure> {
    let older = older_manifests(cx, workload_id, newest).await?;
    for disk in &newest.disks {
        for entry in entries(disk, &older)? {
            for object in [&entry.image, &entry.index] {
                target_files::expect_length(cx, &object.name, object.size_bytes).await?;
            }
        }
    }
    Ok(())
}
