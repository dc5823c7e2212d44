//! A disk's snapshot to an image on a target.
//!
//! ```text
//! plan (allocated or changed extents, whole clusters)
//!   -> batches, with what the indexes say of them if they are to be compared         batches, previous
//!   -> threads: read, find zeroes, hash, compare, compress                           read
//!   -> this thread, in order: image and index, a checkpoint every few seconds        objects
//!   -> index complete, then image complete: an image has always its index            finish
//! ```
//! An incremental holds the clusters of its plan, or, if nobody can tell what changed, those of the
//! disk that differ from the backup before: what is zero there is declared so, since the parent may hold
//! bytes. A full image leaves zeroes out.

mod batches;
mod finish;
mod objects;
mod previous;
mod read;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use agent_blocks::{BlocksError, Changes, DiskSource, Extent, ExtentKind, extent::to_clusters};
use agent_contract::{BackupJob, ImageFacts};
use agent_qcow2::{CLUSTER_BYTES, ImageOptions};
use agent_target::ErrorKind as TargetKind;
use batches::{Batch, Batches};
use objects::Objects;
use previous::Previous;
use read::{Done, Reading};
use services_foundation::error_chain::ErrorChain;

use super::entry::{BackupWork, Work};
use super::error::{JobError, disk};
use super::run::{Place, Run};
use super::ticket::Interrupted;
use super::{pipeline, plan};

/// Whether what is read is compared with the backup before, and what came of it.
pub(super) struct Comparison {
    is_wanted: bool,
    warnings: Mutex<Vec<String>>,
}

impl Comparison {
    fn new(is_wanted: bool, warnings: Vec<String>) -> Self {
        Self {
            is_wanted,
            warnings: Mutex::new(warnings),
        }
    }

    fn warn(&self, warning: String) {
        tracing::warn!("{warning}");
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = self.warnings.lock();
        warnings.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) fn run(run: &Run<'_>, job: &BackupJob) -> Result<ImageFacts, JobError> {
    let source = || run.host.disks.source(&job.source);
    run_from(run, job, source)
}

/// The disk is opened only if something is left to be read.
pub(super) fn run_from(
    run: &Run<'_>,
    job: &BackupJob,
    open: impl FnOnce() -> Result<Box<dyn DiskSource>, JobError>,
) -> Result<ImageFacts, JobError> {
    let place = run.host.place(&job.image)?;
    let options = objects::image_options(job, &place.image)?;
    let interrupted = match &run.work {
        Some(Work::Backup(work)) => Some((**work).clone()),
        _ => None,
    };
    if let Some(work) = interrupted.as_ref().filter(|work| work.is_read) {
        return finish::again(&place, options, work);
    }
    let source = open()?;
    check_size(source.as_ref(), job.size_bytes)?;
    let path = run.host.plan_path(run.id);
    let comparison = match &interrupted {
        Some(work) if path.exists() => Comparison::new(work.is_compared, work.warnings.clone()),
        _ => make_plan(run, job, source.as_ref())?,
    };
    run.ticket.set_total(plan::data_bytes(&path)?);
    let mut objects = begin(&place, options.clone(), interrupted)?;
    let previous = match &job.backing {
        Some(backing) if comparison.is_wanted => {
            Some(Previous::open(&run.host.place(backing)?, job.size_bytes)?)
        }
        _ => None,
    };
    let (from, size_bytes) = (objects.next_cluster(), job.size_bytes);
    let mut batches = Batches::new(plan::read(&path)?, previous, from, size_bytes)?;
    let next = || {
        run.ticket.check()?;
        let next = batches.next();
        if let Some(warning) = batches.take_warning() {
            comparison.warn(warning);
        }
        next
    };
    let begin_reading = |_| -> Result<pipeline::Work<'_, Batch, Done>, JobError> {
        let mut reading = Reading::new(run, source.as_ref(), options.compression)?;
        Ok(Box::new(move |batch| reading.read(batch)))
    };
    let mut saved_at = Instant::now();
    pipeline::run(pipeline::workers(), next, begin_reading, |done| {
        consume(run, &mut objects, &comparison, done, &mut saved_at)
    })?;
    let work = objects.checkpoint(true, &comparison)?;
    (run.save)(Work::Backup(Box::new(work.clone())))?;
    objects.finish(&work)
}

/// Goes on where it was, or from the beginning if the unfinished objects are not there any more.
fn begin(
    place: &Place,
    options: ImageOptions,
    interrupted: Option<BackupWork>,
) -> Result<Objects, JobError> {
    if let Some(work) = interrupted {
        match Objects::resume(place, options.clone(), work) {
            Err(JobError::Target { source, .. })
                if matches!(source.kind, TargetKind::NotFound | TargetKind::Corrupt) =>
            {
                tracing::warn!("an unfinished image is lost: {}", ErrorChain(&source));
            }
            resumed => return resumed,
        }
    }
    Objects::create(place, options)
}

fn check_size(source: &dyn DiskSource, expected: u64) -> Result<(), JobError> {
    let found = source.size_bytes();
    if found == expected {
        Ok(())
    } else {
        Err(JobError::Size { expected, found })
    }
}

/// Writes down what is read, and says whether it is to be compared.
fn make_plan(
    run: &Run<'_>,
    job: &BackupJob,
    source: &dyn DiskSource,
) -> Result<Comparison, JobError> {
    let listing = disk("list what is on the disk");
    let (mut changes, mut warnings) = (None, Vec::new());
    if let Some(since) = &job.since {
        match source.changed_since(since).map_err(listing)? {
            Changes::Known(extents) => changes = Some(extents),
            Changes::Unknown { reason } => warnings.push(format!(
                "the storage cannot tell what changed since {since}, so all of the disk was read and \
                 compared: {reason}"
            )),
        }
    }
    let is_of_changes = changes.is_some();
    let extents = match changes {
        Some(changes) => changes,
        None => source.allocated().map_err(listing)?,
    };
    let comparison = Comparison::new(job.backing.is_some() && !is_of_changes, Vec::new());
    warnings
        .into_iter()
        .for_each(|warning| comparison.warn(warning));
    let extents = to_clusters(extents, CLUSTER_BYTES, job.size_bytes);
    let wanted = extents.filter(|extent| {
        let is_zero = |e: &Extent| e.kind == ExtentKind::Zero;
        is_of_changes || !extent.as_ref().is_ok_and(is_zero)
    });
    let path = run.host.plan_path(run.id);
    match new_end(run, job)? {
        Some(end) => plan::make(&run.host.journal, &path, with_end(wanted, end))?,
        None => plan::make(&run.host.journal, &path, wanted)?,
    }
    Ok(comparison)
}

/// The last cluster of a disk that became smaller and ends inside of it: the parent holds more of it, which
/// would show again when the disk grows, so it becomes a part of the image whether it changed or not.
fn new_end(run: &Run<'_>, job: &BackupJob) -> Result<Option<Extent>, JobError> {
    let rest = job.size_bytes % CLUSTER_BYTES;
    let Some(backing) = job.backing.as_ref().filter(|_| rest > 0) else {
        return Ok(None);
    };
    let before = previous::size_before(&run.host.place(backing)?)?;
    Ok((job.size_bytes < before).then(|| Extent::data(job.size_bytes - rest, rest)))
}

/// The extents, and `end` if none of them reaches there.
fn with_end(
    extents: impl Iterator<Item = Result<Extent, BlocksError>>,
    end: Extent,
) -> impl Iterator<Item = Result<Extent, BlocksError>> {
    let mut reached = 0;
    let mut extents = extents.fuse();
    let mut end = Some(end);
    std::iter::from_fn(move || match extents.next() {
        Some(extent) => {
            if let Ok(extent) = &extent {
                reached = extent.end();
            }
            Some(extent)
        }
        None => end.take().filter(|end| reached <= end.offset).map(Ok),
    })
}

fn consume(
    run: &Run<'_>,
    objects: &mut Objects,
    comparison: &Comparison,
    done: Result<Done, JobError>,
    saved_at: &mut Instant,
) -> Result<(), JobError> {
    let result = match done {
        Ok(done) => {
            objects.write(&done)?;
            run.ticket.set_done(done.done_bytes);
            run.ticket.check().map_err(JobError::from)
        }
        Err(error) => Err(error),
    };
    // What was read is kept, whatever ended the reading; a cancelled transfer keeps nothing.
    let is_cancelled = run.ticket.check() == Err(Interrupted::Cancelled);
    let is_due = saved_at.elapsed() >= run.host.checkpoint_interval;
    if !is_cancelled && (result.is_err() || is_due) {
        let work = objects.checkpoint(false, comparison)?;
        (run.save)(Work::Backup(Box::new(work)))?;
        *saved_at = Instant::now();
    }
    result
}

#[cfg(test)]
mod compare_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod tests;
