//! `merge`: the oldest points go, what they hold for later ones goes into their successors.
//!
//! ```text
//! withdraw the oldest one's manifest -> its image into its successor's, whose manifest follows
//!   -> the rest of the oldest one's folder
//! ```
//! As the service does it. Interrupted, the same command goes on: a manifest that is withdrawn says that
//! something is left to be done. Until then its images can be read as before, see [`settle`].

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Instant;

use agent_contract::{ImagePlace, MergeJob, TransferJob};
use agent_format::ObjectName;
use agent_format::manifest::{DiskEntry, Manifest};
use nix::fcntl::Flock;
use serde_json::json;
use uuid::Uuid;

use super::arguments::MergeArguments;
use super::catalogue::{self, JSON_LIMIT_BYTES, Points, Workload};
use super::error::{CommandError, io, target as failed, transfer};
use super::session::Session;
use crate::transfer::{finish_merges, has_visible_merges};

pub(super) fn run(session: &Session<'_>, arguments: &MergeArguments) -> Result<(), CommandError> {
    let began = Instant::now();
    let target = session.target.as_ref();
    let workload = catalogue::find_workload(target, &arguments.name)?;
    let _lock = lock(session, &workload)?;
    let mut points = catalogue::points(target, workload)?;
    // Until all is done: whoever reads may finish what was begun here, and nothing else.
    let begun = Begun::at(session, &points.workload);
    begun.note(&points.withdrawn)?;
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
        points.check_whole()?;
        if let Some(withdrawn) = points.withdrawn.first() {
            session.check_interrupt()?;
            finish(session, &points, withdrawn)?;
        } else if points.points.len() > keep
            && let Some(oldest) = points.points.first()
        {
            session.check_interrupt()?;
            merged.push(oldest.label());
            begun.note(std::slice::from_ref(&oldest.manifest))?;
            withdraw(session, &oldest.manifest)?;
        } else {
            break;
        }
        points = catalogue::points(target, points.workload)?;
    }
    begun.forget()?;
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

/// Excludes others of this host with the same state, who read or merge.
pub(super) fn lock(
    session: &Session<'_>,
    workload: &Workload,
) -> Result<Flock<File>, CommandError> {
    session.lock(key_of(session, workload), &doing(workload))
}

fn key_of(session: &Session<'_>, workload: &Workload) -> Uuid {
    let id = workload.folder.workload_id;
    Uuid::new_v5(&id.0, session.identity.as_bytes())
}

fn doing(workload: &Workload) -> String {
    format!("it reads or merges backups of {:?}", workload.name)
}

/// The points, for whoever reads their images, and what keeps merges of this host from changing these
/// meanwhile. A merge that was interrupted when nothing could be seen of it is left as it is; one that
/// was nearly done fits neither the old manifests nor the new ones: it is brought to its end if it was begun
/// here. One of somebody else may be going on right now.
pub(super) fn settle(
    session: &Session<'_>,
    workload: Workload,
) -> Result<(Points, Flock<File>), CommandError> {
    let target = session.target.as_ref();
    let reading = session.lock_shared(key_of(session, &workload), &doing(&workload))?;
    let points = catalogue::points(target, workload)?;
    let Points { workload, .. } = &points;
    if points.withdrawn.is_empty() {
        return Ok((points, reading));
    }
    let begun = Begun::at(session, workload);
    if begun.has(&points.withdrawn)? {
        drop(reading);
        let merging = lock(session, workload)?;
        // Somebody else may have merged until the lock was ours.
        let points = finish_visible(session, catalogue::points(target, points.workload)?)?;
        if points.withdrawn.is_empty() {
            begun.forget()?;
        }
        return Ok((points, merging));
    }
    let visible = has_visible_merges(&session.host, &withdrawn_images(session, &points));
    if visible.map_err(transfer("look for interrupted merges", true))? {
        let name = &workload.name;
        return Err(CommandError::Refused(format!(
            "a merge of {name:?} is under way, or did not come to its end where it was begun: give `merge` \
             again there, or let the service delete the snapshot again"
        )));
    }
    Ok((points, reading))
}

/// A note, in the state, of the snapshots that were withdrawn by who has it.
struct Begun(PathBuf);

impl Begun {
    fn at(session: &Session<'_>, workload: &Workload) -> Self {
        Self(session.state_file(key_of(session, workload), "merging"))
    }

    /// Whether it was who withdrew all of these.
    fn has(&self, withdrawn: &[Manifest]) -> Result<bool, CommandError> {
        let noted = match std::fs::read_to_string(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            noted => noted.map_err(io(format!("read {}", self.0.display())))?,
        };
        let mut ids = withdrawn.iter().map(|gone| gone.snapshot_id.to_string());
        Ok(ids.all(|id| noted.lines().any(|line| line == id)))
    }

    fn note(&self, withdrawn: &[Manifest]) -> Result<(), CommandError> {
        let ids = withdrawn
            .iter()
            .map(|gone| format!("{}\n", gone.snapshot_id));
        let written = std::fs::write(&self.0, ids.collect::<String>());
        written.map_err(io(format!("write {}", self.0.display())))
    }

    fn forget(&self) -> Result<(), CommandError> {
        let removed = std::fs::remove_file(&self.0);
        removed.map_err(io(format!("remove {}", self.0.display())))
    }
}

/// Brings those merges to their end that cannot be undone any more, so that manifests say what images are.
fn finish_visible(session: &Session<'_>, points: Points) -> Result<Points, CommandError> {
    let finished = finish_merges(&session.host, &withdrawn_images(session, &points));
    if finished.map_err(transfer("finish an interrupted merge", true))? {
        return catalogue::points(session.target.as_ref(), points.workload);
    }
    Ok(points)
}

fn withdrawn_images(session: &Session<'_>, points: &Points) -> Vec<ImagePlace> {
    let gone = points.withdrawn.iter().flat_map(|gone| &gone.disks);
    gone.map(|disk| session.place_of(&disk.image.name))
        .collect()
}

/// From here on it is no backup any more; what its images are can still be read.
fn withdraw(session: &Session<'_>, manifest: &Manifest) -> Result<(), CommandError> {
    let folder = manifest.folder();
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
        // One that is on its way itself may be built upon, too.
        let mut successors = points
            .manifests()
            .filter_map(|point| point.disks.iter().find(builds_on_it));
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
    let folder = gone.folder();
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
