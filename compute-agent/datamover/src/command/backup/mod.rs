//! `backup`: a disk to an image, then the JSON that makes it a backup.
//!
//! ```text
//! lock the name -> choose a parent -> find out whether this is the rest of an interrupted backup
//!   -> image and index (checkpoints go to `unfinished`) -> JSON files, manifest -> forget `unfinished`
//! ```

mod changed;
mod empty;
mod publish;
mod since;
mod unfinished;

use std::time::Instant;

use agent_blocks::DiskSource;
use agent_contract::{BackupJob, DiskLocation, ImageFacts, TransferId};
use agent_format::layout::{DiskName, SnapshotFolder};
use agent_format::{DiskSnapshotId, ObjectName, ResourceId, SnapshotId, VmId};
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::json;
use services_foundation::error_chain::ErrorChain;
use unfinished::{Asked, Unfinished};
use uuid::Uuid;

use super::arguments::BackupArguments;
use super::catalogue::{self, Points, Workload};
use super::error::{CommandError, transfer};
use super::output::size;
use super::place::{DiskPlace, FileKind, kind_of};
use super::point::workload_of;
use super::session::{Resume, Session};
use crate::transfer::back_up;

/// QCOW2 has no disk of 0 bytes: its image is of one sector, its manifest tells the truth.
const LEAST_BYTES: u64 = 512;
/// What the pipeline calls the earlier state, where only we know what changed.
const LISTED: &str = "listed";

pub(super) fn run(session: &Session<'_>, arguments: &BackupArguments) -> Result<(), CommandError> {
    let began = Instant::now();
    let key = Unfinished::key(&session.identity, &arguments.name);
    let _lock = session.lock(key, &format!("a backup of {:?}", arguments.name))?;
    let points = points_of(session, &arguments.name)?;
    let source = Source::open(session, arguments)?;
    let asked = ask(session, key, arguments, &points, &source)?;
    let begun = begin(session, key, asked, &points);
    if begun.is_err() {
        changed::forget(session, key)?;
    }
    let (unfinished, is_resumed) = begun?;
    let folder = folder_of(&points.workload, &unfinished);
    let image = image_of(&folder);
    let job = job_of(session, &unfinished, &image);
    let published = points.by_id(unfinished.snapshot_id);
    let (facts, read_bytes) = match published {
        Some(_) => (publish::again(session, &points, folder)?, 0),
        None => back_it_up(session, key, &unfinished, &job, source, arguments)?,
    };
    let made = publish::Made {
        folder,
        name: &arguments.name,
        point: arguments.point.as_deref(),
        source: arguments.source.to_string(),
        source_identity: unfinished.asked.identity.as_deref(),
        size_bytes: unfinished.asked.size_bytes,
        image,
        backing: unfinished.asked.backing.as_ref(),
        created_at: unfinished.created_at,
        facts: &facts,
    };
    if published.is_none() {
        publish::publish(session.target.as_ref(), &made)?;
    }
    Unfinished::forget(session, key)?;
    changed::forget(session, key)?;
    for warning in &facts.warnings {
        session.warn(warning);
    }
    let kind = if made.backing.is_some() {
        "incremental"
    } else {
        "full"
    };
    let stored = facts.image_size_bytes + facts.index_size_bytes;
    let seconds = began.elapsed().as_secs_f64();
    let human = format!(
        "{kind} backup {}@{} of {} ({} bytes): {} read, {} stored, {seconds:.1} s",
        arguments.name,
        made.label(),
        arguments.source,
        made.size_bytes,
        size(read_bytes),
        size(stored)
    );
    let json = json!({
        "name": arguments.name,
        "point": made.label(),
        "snapshot_id": unfinished.snapshot_id,
        "type": kind,
        "image": made.image,
        "size_bytes": made.size_bytes,
        "bytes_read": read_bytes,
        "bytes_stored": stored,
        "data_bytes": facts.data_bytes,
        "resumed": is_resumed,
        "warnings": facts.warnings,
        "seconds": seconds,
    });
    session.tell(&human, &json)
}

fn points_of(session: &Session<'_>, name: &str) -> Result<Points, CommandError> {
    let workload = Workload {
        folder: agent_format::layout::WorkloadFolder {
            workload_id: workload_of(name),
        },
        name: name.to_owned(),
    };
    catalogue::points(session.target.as_ref(), workload)
}

/// The disk, and whether it is the same one as that of an earlier run.
struct Source {
    disk: Box<dyn DiskSource>,
    identity: Option<String>,
    size_bytes: u64,
}

impl Source {
    fn open(session: &Session<'_>, arguments: &BackupArguments) -> Result<Self, CommandError> {
        let place = &arguments.source;
        if let DiskPlace::File(path) = place
            && kind_of(path)? == FileKind::Nothing
        {
            let message = format!("there is no disk {}", path.display());
            return Err(CommandError::NotFound(message));
        }
        let disk = place.open_source(session.common)?;
        Ok(Self {
            identity: place.identity(session.common)?,
            size_bytes: disk.size_bytes(),
            disk,
        })
    }
}

/// All that decides what the image will be.
fn ask(
    session: &Session<'_>,
    key: Uuid,
    arguments: &BackupArguments,
    points: &Points,
    source: &Source,
) -> Result<Asked, CommandError> {
    let is_told = arguments.since.is_some() || arguments.changed.is_some();
    let wants_parent = arguments.incremental || is_told;
    let parent = points.newest().filter(|_| wants_parent);
    if wants_parent {
        // The newest might be the one that cannot be read: then it is another one that we build upon,
        // which only a comparison of all can do.
        match points.check_whole() {
            Err(error) if is_told => return Err(error),
            Err(error) => session.warn(&error.to_string()),
            Ok(()) => {}
        }
    }
    if parent.is_none() && wants_parent {
        let name = &arguments.name;
        if is_told {
            return Err(CommandError::NotFound(format!(
                "there is no backup of {name:?} to build upon"
            )));
        }
        session.warn(&format!("{name:?} has no backup yet: this one is full"));
    }
    let backing = match parent {
        Some(parent) => Some(parent.disk(None)?.image.name.clone()),
        None => None,
    };
    let since = match (&arguments.since, &arguments.changed, &arguments.source) {
        (Some(since), None, _) => {
            since::check(session.common, &arguments.source, since, parent)?;
            Some(since.clone())
        }
        (_, Some(_), _) => Some(LISTED.to_owned()),
        (None, None, place) => match parent {
            Some(parent) => since::known(session.common, place, parent)?,
            None => None,
        },
    };
    Ok(Asked {
        source: arguments.source.to_string(),
        identity: source.identity.clone(),
        size_bytes: source.size_bytes,
        compression: arguments.compression.into(),
        point: arguments.point.clone(),
        backing,
        since,
        changed: match &arguments.changed {
            Some(path) => Some(changed::keep(session, key, path, source.size_bytes)?),
            None => None,
        },
    })
}

/// The rest of an interrupted backup if it is the same one, else a new one and nothing left of the old.
fn begin(
    session: &Session<'_>,
    key: Uuid,
    asked: Asked,
    points: &Points,
) -> Result<(Unfinished, bool), CommandError> {
    if let Some(earlier) = Unfinished::load(session, key)? {
        let folder = folder_of(&points.workload, &earlier);
        // It may have come to its end without being able to say so.
        let is_published = points.was_published(earlier.snapshot_id);
        let is_same = match points.by_id(earlier.snapshot_id) {
            Some(_) => earlier.asked.is_asked_again(&asked, &image_of(&folder)),
            None => !is_published && earlier.asked == asked,
        };
        if is_same && asked.identity.is_some() {
            let is_resumed = earlier.work.is_some();
            return Ok((earlier, is_resumed));
        }
        if is_published {
            Unfinished::forget(session, key)?;
        } else {
            earlier.drop_all(session, key, &folder)?;
        }
    }
    check_point_is_new(asked.point.as_deref(), points)?;
    let unfinished = Unfinished {
        asked,
        snapshot_id: SnapshotId(Uuid::new_v4()),
        created_at: now(),
        work: None,
    };
    unfinished.save(session, key)?;
    Ok((unfinished, false))
}

/// As exact as JSON and databases keep it.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn check_point_is_new(wanted: Option<&str>, points: &Points) -> Result<(), CommandError> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let mut names = points.points.iter().map(|point| point.name.as_deref());
    if wanted == "latest" || names.any(|name| name == Some(wanted)) {
        let message = format!("{:?} has a point {wanted:?} already", points.workload.name);
        return Err(CommandError::Refused(message));
    }
    Ok(())
}

fn folder_of(workload: &Workload, unfinished: &Unfinished) -> SnapshotFolder {
    workload.folder.snapshot(unfinished.snapshot_id)
}

/// The one server of a name, and its one disk.
fn vm_of(folder: &SnapshotFolder) -> VmId {
    VmId(Uuid::new_v5(&folder.workload_id.0, b"vm"))
}

fn resource_of(folder: &SnapshotFolder) -> ResourceId {
    ResourceId(Uuid::new_v5(&folder.workload_id.0, b"disk"))
}

fn image_of(folder: &SnapshotFolder) -> ObjectName {
    let id = DiskSnapshotId(Uuid::new_v5(&folder.snapshot_id.0, b"disk"));
    folder.image(vm_of(folder), resource_of(folder), &DiskName::first(), id)
}

fn job_of(session: &Session<'_>, unfinished: &Unfinished, image: &ObjectName) -> BackupJob {
    let asked = &unfinished.asked;
    BackupJob {
        // Opened already.
        source: DiskLocation::Raw {
            path: String::new(),
        },
        size_bytes: match asked.size_bytes {
            0 => LEAST_BYTES,
            size_bytes => size_bytes,
        },
        since: asked.since.clone(),
        image: session.place_of(image),
        backing: asked.backing.as_ref().map(|name| session.place_of(name)),
        compression: asked.compression,
    }
}

fn back_it_up(
    session: &Session<'_>,
    key: Uuid,
    unfinished: &Unfinished,
    job: &BackupJob,
    source: Source,
    arguments: &BackupArguments,
) -> Result<(ImageFacts, u64), CommandError> {
    let mut disk = source.disk;
    if source.size_bytes == 0 {
        disk = Box::new(empty::EmptyDisk::of(LEAST_BYTES));
    }
    if unfinished.asked.changed.is_some() {
        let list = changed::path_of(&session.host.journal, key);
        disk = Box::new(changed::Listed::new(disk, list));
    }
    let save = |work| {
        let mut now = unfinished.clone();
        now.work = Some(work);
        session.host.journal.save(key, &now)
    };
    let resume = Resume {
        id: TransferId(key),
        work: unfinished.work.clone(),
        save: &save,
    };
    let done = session.transfer(&arguments.name, resume, |run| {
        let facts = back_up(run, job, || Ok(disk))?;
        Ok((facts, run.ticket.progress().read_since_start_bytes))
    });
    let error = match done {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    // What may go on is kept; what cannot must not fill the target.
    if !error.is_transient() {
        let folder = SnapshotFolder {
            workload_id: workload_of(&arguments.name),
            snapshot_id: unfinished.snapshot_id,
        };
        let dropped = unfinished.drop_all(session, key, &folder);
        if let Err(left) = dropped.and_then(|()| changed::forget(session, key)) {
            let left = ErrorChain(&left);
            session.warn(&format!("something is left on the target: {left}"));
        }
    }
    let is_resumable = source.identity.is_some();
    Err(transfer(
        format!("back {} up", arguments.source),
        is_resumable,
    )(error))
}
