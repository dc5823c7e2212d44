//! A chain of images to a volume.
//!
//! ```text
//! room on the volume for all of it                               room
//! extents of the chain, with what the indexes say of them          source, batches
//!   -> threads: read, decompress, verify, write                    write
//!   -> this thread: what is done in guest order without a gap; a checkpoint every few seconds
//! ```
//! The volume is flushed before anything is said of it: at each checkpoint and at the end.

mod batches;
mod room;
mod source;
mod write;

use std::time::Instant;

use agent_blocks::WriteDisk;
use agent_contract::{RestoreJob, TransferOutcome};
use batches::{Batch, Batches};
use source::Source;
use write::{Done, Sinks, Writing};

use super::entry::{RestoreWork, Work};
use super::error::JobError;
use super::pipeline;
use super::run::Run;
use super::ticket::Interrupted;

pub(super) fn run(run: &Run<'_>, job: &RestoreJob) -> Result<TransferOutcome, JobError> {
    let destination = run.host.disks.destination(&job.destination)?;
    fill(run, job, destination.as_ref())
}

pub(super) fn fill(
    run: &Run<'_>,
    job: &RestoreJob,
    destination: &dyn WriteDisk,
) -> Result<TransferOutcome, JobError> {
    let (expected, found) = (job.size_bytes, destination.size_bytes());
    if found < expected {
        return Err(JobError::Size { expected, found });
    }
    let source = Source::open(run, job)?;
    let work = match run.work {
        Some(Work::Restore(work)) => work,
        _ => RestoreWork::default(),
    };
    if work.offset >= job.size_bytes {
        // All of it was flushed when that was written down.
        return Ok(TransferOutcome::Filled {
            written_bytes: work.written_bytes,
        });
    }
    let left = room::make(run, job, &source, destination, work.offset)?;
    run.ticket.set_total(work.done_bytes + left);
    // At a limited pace more threads move no more: they hold more that is not done, and lost to a crash.
    let threads = if run.host.throttle.is_limited() {
        pipeline::workers()
    } else {
        pipeline::copying_workers()
    };
    let mut batches = Batches::new(&source, work.offset)?;
    let sinks = Sinks::new(threads);
    let mut filler = Filler {
        sinks: &sinks,
        work,
        saved_at: Instant::now(),
    };
    let next = || {
        run.ticket.check()?;
        batches.next()
    };
    let begin = |thread| -> Result<pipeline::Work<'_, Batch, Done>, JobError> {
        let mut writing = Writing::new(run, job, &source, destination, (&sinks, thread))?;
        Ok(Box::new(move |batch| writing.write(batch)))
    };
    pipeline::run(threads, next, begin, |done| filler.take(run, done))?;
    sinks.flush()?;
    Ok(TransferOutcome::Filled {
        written_bytes: filler.work.written_bytes,
    })
}

struct Filler<'a> {
    sinks: &'a Sinks,
    /// Everything before its offset was written.
    work: RestoreWork,
    saved_at: Instant,
}

impl Filler<'_> {
    fn take(&mut self, run: &Run<'_>, done: Result<Done, JobError>) -> Result<(), JobError> {
        let result = match done {
            Ok(Done { end, data_bytes }) => {
                self.work.offset = end;
                self.work.written_bytes += data_bytes;
                self.work.done_bytes += data_bytes;
                run.ticket.set_done(self.work.done_bytes);
                run.ticket.check().map_err(JobError::from)
            }
            Err(error) => Err(error),
        };
        let is_cancelled = run.ticket.check() == Err(Interrupted::Cancelled);
        let is_due = self.saved_at.elapsed() >= run.host.checkpoint_interval;
        if !is_cancelled && (result.is_err() || is_due) {
            self.sinks.flush()?;
            (run.save)(Work::Restore(self.work))?;
            self.saved_at = Instant::now();
        }
        result
    }
}

#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;
