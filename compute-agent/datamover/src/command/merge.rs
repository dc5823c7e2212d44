//! `merge`: the oldest points go, what they hold for later ones goes into their successors.
//!
//! ```text
//! withdraw the oldest one's manifest -> its image into its successor's -> the successor's manifest
//!   -> the rest of the oldest one's folder
//! ```
//! As the service does it. Interrupted, the same command goes on: a manifest that is withdrawn says that
//! something is left to be done.

use std::time::Instant;

use agent_contract::{ImageFacts, MergeJob, TransferJob, TransferOutcome};
use agent_format::layout::SnapshotFolder;
use agent_format::manifest::{DiskEntry, Manifest, ObjectRecord, SnapshotType};
use agent_format::{Digest, ObjectName};
use serde_json::json;

use super::arguments::MergeArguments;
use super::catalogue::{self, JSON_LIMIT_BYTES, Points};
use super::error::{CommandError, target as failed, transfer};
use super::session::Session;

pub(super) fn run(session: &Session<'_>, arguments: &MergeArguments) -> Result<(), CommandError> {
    let began = Instant::now();
    let find = || catalogue::find(session.target.as_ref(), &arguments.name);
    let mut points = find()?;
    let id = points.workload.folder.workload_id;
    let key = uuid::Uuid::new_v5(&id.0, session.identity.as_bytes());
    let _lock = session.lock(key, &format!("a merge of {:?}", arguments.name))?;
    let mut merged = Vec::new();
    for left in points.withdrawn.iter().map(|manifest| manifest.snapshot_id) {
        merged.push(left.to_string());
    }
    let keep = arguments
        .keep
        .unwrap_or(points.points.len().saturating_sub(1).max(1));
    loop {
        session.check_interrupt()?;
        points.check_whole()?;
        if let Some(withdrawn) = points.withdrawn.first() {
            finish(session, &points, withdrawn)?;
        } else if points.points.len() > keep
            && let Some(oldest) = points.points.first()
        {
            merged.push(oldest.label());
            withdraw(session, &oldest.manifest)?;
        } else {
            break;
        }
        points = find()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let human = format!(
        "{:?}: {} points went, {} are left, {seconds:.1} s",
        points.workload.name,
        merged.len(),
        points.points.len()
    );
    let json = json!({
        "name": points.workload.name,
        "merged": merged,
        "points": points.points.len(),
        "seconds": seconds,
    });
    session.tell(&human, &json)
}

fn folder_of(manifest: &Manifest) -> SnapshotFolder {
    SnapshotFolder {
        workload_id: manifest.workload_id,
        snapshot_id: manifest.snapshot_id,
    }
}

/// From here on it is no backup any more; what its images are can still be read.
fn withdraw(session: &Session<'_>, manifest: &Manifest) -> Result<(), CommandError> {
    let folder = folder_of(manifest);
    let target = session.target.as_ref();
    let withdrawn = || {
        let bytes = target.get_object(&folder.manifest(), JSON_LIMIT_BYTES)?;
        target.put_object(&folder.withdrawn_manifest(), &bytes)?;
        target.delete(&folder.manifest())
    };
    withdrawn().map_err(failed("withdraw a manifest"))
}

/// Merges what something builds upon; then the folder has nothing that anybody needs.
fn finish(session: &Session<'_>, points: &Points, gone: &Manifest) -> Result<(), CommandError> {
    for disk in &gone.disks {
        let builds_on_it = |entry: &&DiskEntry| entry.backing.as_ref() == Some(&disk.image.name);
        let manifests = points.points.iter().map(|point| &point.manifest);
        let mut successors = manifests
            .filter_map(|manifest| Some((manifest, manifest.disks.iter().find(builds_on_it)?)));
        match (successors.next(), successors.next()) {
            (None, _) => {}
            (Some((manifest, successor)), None) => {
                let facts = merge(session, &disk.image.name, &successor.image.name)?;
                let updated = followed(manifest, successor, disk, gone, &facts)?;
                put_manifest(session, &updated)?;
            }
            (Some(_), Some(_)) => {
                let image = &disk.image.name;
                let why = format!("several backups build upon image {image}: it stays");
                return Err(CommandError::Refused(why));
            }
        }
    }
    let folder = folder_of(gone);
    // What says that something is left to be done goes last.
    let removed = (|| {
        for object in session.target.list(Some(&folder.name()))? {
            if object.name != folder.withdrawn_manifest() {
                session.target.delete(&object.name)?;
            }
        }
        session.target.delete_folder(&folder.name())
    })();
    removed.map_err(failed("remove a merged backup"))
}

fn merge(
    session: &Session<'_>,
    image: &ObjectName,
    successor: &ObjectName,
) -> Result<ImageFacts, CommandError> {
    let job = TransferJob::Merge(MergeJob {
        image: session.place_of(image),
        successor: session.place_of(successor),
    });
    let merged = session.carry_out("merge", &job);
    match merged.map_err(transfer(format!("merge image {image}"), true))? {
        TransferOutcome::Merged(facts) => Ok(facts),
        other => Err(CommandError::Refused(format!("a merge ended as {other:?}"))),
    }
}

/// The successor's manifest as its image is now.
fn followed(
    manifest: &Manifest,
    successor: &DiskEntry,
    gone: &DiskEntry,
    gone_manifest: &Manifest,
    facts: &ImageFacts,
) -> Result<Manifest, CommandError> {
    let record = |of: &ObjectRecord, size_bytes, blake3: &str| {
        let blake3 = blake3.parse::<Digest>();
        let blake3 = blake3.map_err(|error| CommandError::Refused(error.to_string()))?;
        Ok::<_, CommandError>(ObjectRecord {
            name: of.name.clone(),
            size_bytes,
            blake3,
        })
    };
    let entry = DiskEntry {
        image: record(
            &successor.image,
            facts.image_size_bytes,
            &facts.image_blake3,
        )?,
        index: record(
            &successor.index,
            facts.index_size_bytes,
            &facts.index_blake3,
        )?,
        backing: gone.backing.clone(),
        virtual_size_bytes: facts.virtual_size_bytes,
        cluster_size: facts.cluster_size,
        data_bytes: facts.data_bytes,
        zero_bytes: facts.zero_bytes,
        ..successor.clone()
    };
    let mut updated = manifest.clone();
    for disk in &mut updated.disks {
        if disk.image.name == entry.image.name {
            *disk = entry.clone();
        }
    }
    let is_full = updated.disks.iter().all(|disk| disk.backing.is_none());
    let builds_on_gone = updated.disks.iter().any(|disk| {
        let mut images = gone_manifest.disks.iter().map(|disk| &disk.image.name);
        images.any(|image| disk.backing.as_ref() == Some(image))
    });
    if is_full {
        updated.snapshot_type = SnapshotType::Full;
        updated.previous_snapshot_id = None;
    } else if !builds_on_gone {
        updated.previous_snapshot_id = gone_manifest.previous_snapshot_id;
    }
    Ok(updated)
}

fn put_manifest(session: &Session<'_>, manifest: &Manifest) -> Result<(), CommandError> {
    let json = manifest.to_vec().map_err(|error| {
        CommandError::Refused(format!("the manifest would not be valid: {error}"))
    })?;
    let name = folder_of(manifest).manifest();
    let put = session.target.put_object(&name, &json);
    put.map_err(failed("write the successor's manifest"))
}
