//! A chain of images to a volume.
//!
//! A reader thread verifies every cluster against the index of the image that owns it, this thread
//! writes. The volume is flushed before anything is said of it: at each checkpoint and at the end.

mod owners;
mod source;

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use agent_blocks::{DiskSink, WriteDisk};
use agent_contract::{RestoreJob, TransferOutcome};
use source::{Piece, Source};

use super::entry::{RestoreWork, Work};
use super::error::{JobError, disk};
use super::run::Run;
use super::ticket::Interrupted;

/// Pieces of 1 MiB between the reader and the writer.
const PIECES_IN_FLIGHT: usize = 8;

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
    run.ticket
        .set_total(work.done_bytes + source.data_bytes(work.offset, u64::MAX)?);
    let sink = destination.open_sink().map_err(disk("open the volume"))?;
    let mut filler = Filler { job, sink, work };
    std::thread::scope(|scope| {
        let (sender, pieces) = sync_channel(PIECES_IN_FLIGHT);
        let source = &source;
        scope.spawn(move || {
            let result = source.pieces(work.offset, |piece| {
                if let Piece::Data { bytes, .. } = &piece {
                    let length = bytes.len() as u64;
                    run.ticket.has_read(length);
                    run.host.throttle.pass(length, run.ticket)?;
                }
                Ok(sender.send(Ok(Some(piece))).is_ok())
            });
            // If nobody takes it, the writer has an error of its own.
            let _nobody_listens = sender.send(result.map(|()| None));
        });
        filler.consume(run, &pieces)
    })?;
    filler.flush()?;
    Ok(TransferOutcome::Filled {
        written_bytes: filler.work.written_bytes,
    })
}

struct Filler<'a> {
    job: &'a RestoreJob,
    sink: Box<dyn DiskSink>,
    work: RestoreWork,
}

impl Filler<'_> {
    fn consume(
        &mut self,
        run: &Run<'_>,
        pieces: &Receiver<Result<Option<Piece>, JobError>>,
    ) -> Result<(), JobError> {
        let mut saved_at = Instant::now();
        for piece in pieces {
            let result = match piece {
                Ok(Some(piece)) => {
                    self.write(&piece)?;
                    run.ticket.set_done(self.work.done_bytes);
                    run.ticket.check().map_err(JobError::from)
                }
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            };
            let is_cancelled = run.ticket.check() == Err(Interrupted::Cancelled);
            let is_due = saved_at.elapsed() >= run.host.checkpoint_interval;
            if !is_cancelled && (result.is_err() || is_due) {
                self.flush()?;
                (run.save)(Work::Restore(self.work))?;
                saved_at = Instant::now();
            }
            result?;
        }
        Err(JobError::Broken)
    }

    fn write(&mut self, piece: &Piece) -> Result<(), JobError> {
        let failed = disk("write to the volume");
        // An image's size is a multiple of 512, a disk's need not be.
        match piece {
            Piece::Data { offset, bytes } => {
                let left = self.job.size_bytes.saturating_sub(*offset);
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let bytes = bytes.get(..length).unwrap_or_default();
                if !bytes.is_empty() {
                    self.sink.write_at(*offset, bytes).map_err(failed)?;
                }
                self.work.written_bytes += length as u64;
                self.work.done_bytes += length as u64;
                self.work.offset = offset + length as u64;
            }
            Piece::Zero { offset, length } => {
                let end = (offset + length).min(self.job.size_bytes);
                if !self.job.is_destination_zeroed && *offset < end {
                    self.sink.zero_at(*offset, end - offset).map_err(failed)?;
                }
                self.work.offset = end;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), JobError> {
        self.sink.flush().map_err(disk("flush the volume"))
    }
}

#[cfg(test)]
mod tests;
