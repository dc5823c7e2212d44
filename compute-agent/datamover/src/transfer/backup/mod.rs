//! A disk's snapshot to an image on a target.
//!
//! ```text
//! plan (allocated or changed extents, whole clusters)
//!   -> reader thread: reads, several requests in flight; finds zeroes, hashes      produce
//!   -> this thread: image and index, a checkpoint every few seconds                consume
//!   -> index complete, then image complete: an image has always its index          finish
//! ```
//! An incremental holds exactly the clusters of its plan: what is zero there is declared so, since the
//! parent may hold bytes. A full image leaves zeroes out.

mod finish;
mod objects;
mod produce;

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use agent_blocks::{Changes, DiskSource, ExtentKind, extent::to_clusters};
use agent_contract::{BackupJob, ImageFacts};
use agent_qcow2::CLUSTER_BYTES;
use agent_qcow2::ImageOptions;
use agent_target::ErrorKind as TargetKind;
use objects::Objects;
use services_foundation::error_chain::ErrorChain;

use super::entry::{BackupWork, Work};
use super::error::{JobError, disk};
use super::plan::{self, Meter};
use super::run::{Place, Run};
use super::ticket::Interrupted;

/// Pieces between the reader and the writer; with the reader's window they bound the memory.
const PIECES_IN_FLIGHT: usize = 4;

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
    let plan = run.host.plan_path(run.id);
    if interrupted.is_none() || !plan.exists() {
        make_plan(run, job, source.as_ref())?;
    }
    run.ticket.set_total(plan::data_bytes(&plan)?);
    let mut objects = begin(&place, options, interrupted)?;
    let from = objects.next_cluster();
    std::thread::scope(|scope| {
        let (sender, pieces) = sync_channel(PIECES_IN_FLIGHT);
        let (source, plan) = (source.as_ref(), &plan);
        scope.spawn(move || {
            // If nobody takes the error, the writer has one of its own.
            if let Err(error) = produce::produce(run, source, plan, from, &sender) {
                let _nobody_listens = sender.send(Err(error));
            }
        });
        consume(run, &mut objects, &pieces, Meter::new(plan::read(plan)?))
    })?;
    let work = objects.checkpoint(true)?;
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

fn make_plan(run: &Run<'_>, job: &BackupJob, source: &dyn DiskSource) -> Result<(), JobError> {
    let listing = disk("list what is on the disk");
    let extents = match &job.since {
        None => source.allocated().map_err(listing)?,
        Some(since) => match source.changed_since(since).map_err(listing)? {
            Changes::Known(extents) => extents,
            Changes::Unknown { reason } => {
                return Err(JobError::ChangesUnknown {
                    since: since.clone(),
                    reason,
                });
            }
        },
    };
    let is_full = job.since.is_none();
    let extents = to_clusters(extents, CLUSTER_BYTES, job.size_bytes);
    let wanted = extents.filter(|extent| {
        let is_zero = |e: &agent_blocks::Extent| e.kind == ExtentKind::Zero;
        !(is_full && extent.as_ref().is_ok_and(is_zero))
    });
    plan::make(&run.host.journal, &run.host.plan_path(run.id), wanted)
}

fn consume(
    run: &Run<'_>,
    objects: &mut Objects,
    pieces: &Receiver<Result<produce::Step, JobError>>,
    mut meter: Meter,
) -> Result<(), JobError> {
    let mut saved_at = Instant::now();
    for step in pieces {
        let result = match step {
            Ok(produce::Step::Piece(piece)) => {
                objects.write(&piece)?;
                let end = piece.end() * CLUSTER_BYTES;
                run.ticket.set_done(meter.data_before(end)?);
                run.ticket.check().map_err(JobError::from)
            }
            Ok(produce::Step::End) => return Ok(()),
            Err(error) => Err(error),
        };
        // What was read is kept, whatever ended the reading; a cancelled transfer keeps nothing.
        let is_cancelled = run.ticket.check() == Err(Interrupted::Cancelled);
        let is_due = saved_at.elapsed() >= run.host.checkpoint_interval;
        if !is_cancelled && (result.is_err() || is_due) {
            let work = objects.checkpoint(false)?;
            (run.save)(Work::Backup(Box::new(work)))?;
            saved_at = Instant::now();
        }
        result?;
    }
    Err(JobError::Broken)
}

#[cfg(test)]
mod tests;
