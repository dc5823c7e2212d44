//! What one thread does with a batch: reads and decompresses it, compares every cluster with its digest,
//! and writes it to the volume.

use std::sync::{Mutex, MutexGuard, PoisonError};

use agent_blocks::{BufferPool, DiskSink, WriteDisk};
use agent_contract::RestoreJob;
use agent_format::Digest;
use agent_qcow2::Decompressor;

use super::batches::{Batch, Part, Run as DataRun};
use super::source::Source;
use crate::transfer::error::{JobError, disk};
use crate::transfer::run::Run;

const KEPT_BYTES: usize = 2 << 20;

/// Of each thread, the sink it writes through; all of them are flushed by whoever wants to say that
/// something is on the volume.
pub(super) struct Sinks(Vec<Mutex<Option<Box<dyn DiskSink>>>>);

impl Sinks {
    pub(super) fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| Mutex::default()).collect())
    }

    fn slot(&self, thread: usize) -> Option<MutexGuard<'_, Option<Box<dyn DiskSink>>>> {
        let slot = self.0.get(thread)?;
        Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when everything written before is on stable storage.
    pub(super) fn flush(&self) -> Result<(), JobError> {
        for slot in &self.0 {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sink) = slot.as_mut() {
                sink.flush().map_err(disk("flush the volume"))?;
            }
        }
        Ok(())
    }
}

/// A batch that was written.
pub(super) struct Done {
    pub(super) end: u64,
    pub(super) data_bytes: u64,
}

pub(super) struct Writing<'a> {
    run: &'a Run<'a>,
    job: &'a RestoreJob,
    source: &'a Source,
    sinks: &'a Sinks,
    thread: usize,
    pool: BufferPool,
    decompressor: Decompressor,
}

impl<'a> Writing<'a> {
    pub(super) fn new(
        run: &'a Run<'a>,
        job: &'a RestoreJob,
        source: &'a Source,
        destination: &dyn WriteDisk,
        (sinks, thread): (&'a Sinks, usize),
    ) -> Result<Self, JobError> {
        let sink = destination.open_sink().map_err(disk("open the volume"))?;
        if let Some(mut slot) = sinks.slot(thread) {
            *slot = Some(sink);
        }
        Ok(Self {
            run,
            job,
            source,
            sinks,
            thread,
            pool: BufferPool::new(KEPT_BYTES),
            decompressor: Decompressor::new(),
        })
    }

    pub(super) fn write(&mut self, batch: Batch) -> Result<Done, JobError> {
        let mut data_bytes = 0;
        for part in &batch.parts {
            match part {
                Part::Zero { offset, length } => self.zero(*offset, *length)?,
                Part::Data(run) => data_bytes += self.fill(run)?,
            }
        }
        Ok(Done {
            end: batch.end.min(self.job.size_bytes),
            data_bytes,
        })
    }

    /// An image's size is a multiple of 512, a disk's need not be.
    fn zero(&self, offset: u64, length: u64) -> Result<(), JobError> {
        let end = (offset + length).min(self.job.size_bytes);
        if self.job.is_destination_zeroed || offset >= end {
            return Ok(());
        }
        self.with_sink(|sink| sink.zero_at(offset, end - offset))
    }

    fn fill(&mut self, data: &DataRun) -> Result<u64, JobError> {
        let mut bytes = self.pool.take(in_memory(data.length));
        let read =
            self.source
                .chain
                .read_extents(&data.extents, &mut bytes, &mut self.decompressor);
        read.map_err(JobError::Chain)?;
        self.run.ticket.has_read(data.length);
        self.run.host.throttle.pass(data.length, self.run.ticket)?;
        self.verify(data, &bytes)?;
        bytes.truncate(in_memory(self.job.size_bytes.saturating_sub(data.offset)));
        if !bytes.is_empty() {
            self.with_sink(|sink| sink.write_at(data.offset, &bytes))?;
        }
        Ok(bytes.len() as u64)
    }

    fn verify(&self, data: &DataRun, bytes: &[u8]) -> Result<(), JobError> {
        let cluster_size = self.source.chain.cluster_size();
        let length = in_memory(cluster_size);
        let first = data.offset / cluster_size;
        let clusters = (first..).zip(bytes.chunks(length)).zip(&data.clusters);
        for ((cluster, bytes), (image, digest)) in clusters {
            if Digest::of_cluster(bytes, length) != *digest {
                let what = "the bytes are not those that were backed up";
                return Err(self.source.damaged(*image, cluster, what));
            }
        }
        Ok(())
    }

    fn with_sink(
        &self,
        write: impl FnOnce(&mut dyn DiskSink) -> Result<(), agent_blocks::BlocksError>,
    ) -> Result<(), JobError> {
        let mut slot = self.sinks.slot(self.thread).ok_or(JobError::Broken)?;
        let sink = slot.as_mut().ok_or(JobError::Broken)?;
        write(sink.as_mut()).map_err(disk("write to the volume"))
    }
}

/// For what a batch or a cluster bounds, or is cut to something that is.
fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
