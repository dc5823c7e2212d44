//! `restore`: a disk back to where it is wanted. A file appears under its name when it is whole, and
//! not before.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use agent_blocks::{FileTarget, WriteDisk};
use agent_contract::{DiskLocation, ImageDigests, RestoreJob, TransferOutcome};
use agent_format::manifest::DiskEntry;
use serde_json::json;

use super::arguments::RestoreArguments;
use super::catalogue;
use super::error::{CommandError, io, transfer};
use super::merge;
use super::output::size;
use super::place::{DiskPlace, FileKind, kind_of};
use super::session::Session;
use crate::transfer::fill as fill_disk;

pub(super) fn run(session: &Session<'_>, arguments: &RestoreArguments) -> Result<(), CommandError> {
    let began = Instant::now();
    let workload = catalogue::find_workload(session.target.as_ref(), &arguments.point.name)?;
    let (points, _lock) = merge::settle(session, workload)?;
    let point = points.find(&arguments.point)?;
    let disk = point.disk(arguments.disk.as_deref())?;
    let chain = points.chain(disk)?;
    let destination = Destination::of(arguments)?;
    let written_bytes = match destination {
        Destination::NewFile(path) => fill_file(session, &chain, &path)?,
        Destination::Existing(place) => {
            let opened = place.open_destination(session.common)?;
            check_size(opened.as_ref(), disk)?;
            fill(session, &chain, opened.as_ref(), false)?
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let label = format!("{}@{}", points.workload.name, point.label());
    let human = format!(
        "restored {label} to {}: {}, {} written, {seconds:.1} s",
        arguments.destination,
        size(disk.size_bytes),
        size(written_bytes)
    );
    let json = json!({
        "name": points.workload.name,
        "point": point.label(),
        "snapshot_id": point.manifest.snapshot_id,
        "destination": arguments.destination.to_string(),
        "size_bytes": disk.size_bytes,
        "bytes_written": written_bytes,
        "images": chain.len(),
        "seconds": seconds,
    });
    session.tell(&human, &json)
}

enum Destination<'a> {
    /// Made, or put in the place of one that may go.
    NewFile(PathBuf),
    /// Written over as it is.
    Existing(&'a DiskPlace),
}

impl<'a> Destination<'a> {
    fn of(arguments: &'a RestoreArguments) -> Result<Self, CommandError> {
        let place = &arguments.destination;
        let kind = match place {
            DiskPlace::File(path) => kind_of(path)?,
            DiskPlace::Rbd {
                snapshot: Some(_), ..
            } => {
                let message = format!("{place} is a snapshot, which cannot be written to");
                return Err(CommandError::Refused(message));
            }
            _ => FileKind::Device,
        };
        let is_free = matches!(kind, FileKind::Nothing | FileKind::File { size_bytes: 0 });
        if !is_free && !arguments.force {
            let message = format!("{place} exists: --force overwrites it");
            return Err(CommandError::Refused(message));
        }
        match (kind, place) {
            (FileKind::Nothing, DiskPlace::File(path)) => Ok(Self::NewFile(path.clone())),
            (FileKind::File { .. }, DiskPlace::File(path)) => {
                // A link keeps leading to the file.
                let real = path.canonicalize();
                let real = real.map_err(io(format!("look at {}", path.display())))?;
                Ok(Self::NewFile(real))
            }
            _ => Ok(Self::Existing(place)),
        }
    }
}

fn check_size(destination: &dyn WriteDisk, disk: &DiskEntry) -> Result<(), CommandError> {
    let (found, wanted) = (destination.size_bytes(), disk.size_bytes);
    if found < wanted {
        return Err(CommandError::Refused(format!(
            "the destination has {found} bytes, the disk needs {wanted}"
        )));
    }
    Ok(())
}

/// Beside its final name first.
fn fill_file(
    session: &Session<'_>,
    chain: &[&DiskEntry],
    path: &Path,
) -> Result<u64, CommandError> {
    let part = part_of(path)?;
    let size_bytes = chain.first().map_or(0, |disk| disk.size_bytes);
    // What a run that was killed has left.
    remove(&part)?;
    let filled = make_and_fill(session, chain, &part, size_bytes);
    let moved = filled.and_then(|written| {
        let doing = || io(format!("make {}", path.display()));
        std::fs::rename(&part, path).map_err(doing())?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|f| f.sync_all()).map_err(doing())?;
        Ok(written)
    });
    if moved.is_err()
        && let Err(error) = remove(&part)
    {
        session.warn(&error.to_string());
    }
    moved
}

fn make_and_fill(
    session: &Session<'_>,
    chain: &[&DiskEntry],
    part: &Path,
    size_bytes: u64,
) -> Result<u64, CommandError> {
    let file = FileTarget::create(part, size_bytes).map_err(|source| CommandError::Disk {
        doing: "make the file".to_owned(),
        source,
    })?;
    fill(session, chain, &file, true)
}

fn part_of(path: &Path) -> Result<PathBuf, CommandError> {
    let Some(name) = path.file_name() else {
        let message = format!("{} is no name of a file", path.display());
        return Err(CommandError::Refused(message));
    };
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(".partial");
    Ok(path.with_file_name(part))
}

fn remove(path: &Path) -> Result<(), CommandError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

fn fill(
    session: &Session<'_>,
    chain: &[&DiskEntry],
    destination: &dyn WriteDisk,
    is_destination_zeroed: bool,
) -> Result<u64, CommandError> {
    let Some(newest) = chain.first().filter(|disk| disk.size_bytes > 0) else {
        return Ok(0);
    };
    let job = RestoreJob {
        chain: chain
            .iter()
            .map(|disk| session.place_of(&disk.image.name))
            .collect(),
        size_bytes: newest.size_bytes,
        // Opened already.
        destination: DiskLocation::Raw {
            path: String::new(),
        },
        is_destination_zeroed,
        digests: chain.iter().map(|disk| digests_of(disk)).collect(),
    };
    let filled = session.transfer_afresh("restore", |run| fill_disk(run, &job, destination));
    match filled.map_err(transfer("restore the disk", false))? {
        TransferOutcome::Filled { written_bytes } => Ok(written_bytes),
        _ => Ok(0),
    }
}

/// What the manifest says of an image and its index.
pub(super) fn digests_of(disk: &DiskEntry) -> ImageDigests {
    ImageDigests {
        image_blake3: disk.image.blake3.to_string(),
        index_blake3: disk.index.blake3.to_string(),
    }
}
