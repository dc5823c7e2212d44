//! `merge`: the oldest points go, what they hold for later ones goes into their successors.
//!
//! ```text
//! withdraw the oldest one's manifest -> its image into its successor's, whose manifest follows
//!   -> the rest of the oldest one's folder
//! ```
//! As the service does it. Interrupted, the same command goes on: a manifest that is withdrawn says that
//! something is left to be done. Until then its images can be read as before, see [`settle`].

use std::fs::File;
use std::time::Instant;

use agent_contract::{MergeJob, TransferJob};
use agent_format::ObjectName;
use agent_format::layout::SnapshotFolder;
use agent_format::manifest::{DiskEntry, Manifest};
use nix::fcntl::Flock;
use serde_json::json;

use super::arguments::MergeArguments;
use super::catalogue::{self, JSON_LIMIT_BYTES, Points, Workload};
use super::error::{CommandError, target as failed, transfer};
use super::session::Session;
use crate::transfer::finish_merges;

pub(super) fn run(session: &Session<'_>, arguments: &MergeArguments) -> Result<(), CommandError> {
    let began = Instant::now();
    let find = || catalogue::find(session.target.as_ref(), &arguments.name);
    let mut points = find()?;
    let _lock = lock(session, &points.workload)?;
    // What a successor's manifest has followed already would be taken for done, and it is not.
    points = finish_visible(session, points)?;
    let mut merged = Vec::new();
    for left in points.withdrawn.iter().map(|manifest| manifest.snapshot_id) {
        merged.push(left.to_string());
    }
    // One that is on its way is the one that was meant when the command was given first.
    let going = usize::from(points.withdrawn.is_empty());
    let keep = points.points.len().saturating_sub(going).max(1);
    let keep = arguments.keep.unwrap_or(keep);
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

fn lock(session: &Session<'_>, workload: &Workload) -> Result<Flock<File>, CommandError> {
    let id = workload.folder.workload_id;
    let key = uuid::Uuid::new_v5(&id.0, session.identity.as_bytes());
    session.lock(key, &format!("a merge of {:?}", workload.name))
}

/// The points, for whoever reads their images, and what keeps a merge from changing these meanwhile. A
/// merge that was interrupted when nothing could be seen of it is left as it is; one that was nearly
/// done fits neither the old manifests nor the new ones, and is brought to its end.
pub(super) fn settle(
    session: &Session<'_>,
    points: Points,
) -> Result<(Points, Option<Flock<File>>), CommandError> {
    if points.withdrawn.is_empty() {
        return Ok((points, None));
    }
    let lock = lock(session, &points.workload)?;
    Ok((finish_visible(session, points)?, Some(lock)))
}

/// Brings those merges to their end that cannot be undone any more, so that manifests say what images are.
fn finish_visible(session: &Session<'_>, points: Points) -> Result<Points, CommandError> {
    let gone = points.withdrawn.iter().flat_map(|gone| &gone.disks);
    let images: Vec<_> = gone
        .map(|disk| session.place_of(&disk.image.name))
        .collect();
    let finished = finish_merges(&session.host, &images);
    finished.map_err(transfer("finish an interrupted merge", true))?;
    // Somebody else may have merged until the lock was ours.
    catalogue::points(session.target.as_ref(), points.workload)
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
        let mut successors = manifests.filter_map(|point| point.disks.iter().find(builds_on_it));
        match (successors.next(), successors.next()) {
            (None, _) => {}
            (Some(successor), None) => merge(session, &disk.image.name, &successor.image.name)?,
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

/// The successor's manifest follows.
fn merge(
    session: &Session<'_>,
    image: &ObjectName,
    successor: &ObjectName,
) -> Result<(), CommandError> {
    let job = TransferJob::Merge(MergeJob {
        image: session.place_of(image),
        successor: session.place_of(successor),
    });
    let merged = session.carry_out("merge", &job);
    merged.map_err(transfer(format!("merge image {image}"), true))?;
    Ok(())
}
