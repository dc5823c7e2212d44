//! The sink, appended to in large pieces.

use super::WriteError;
use crate::ImageSink;
use crate::aligned::AlignedBuffer;
use crate::geometry::CLUSTER_LENGTH;

/// Shorter pieces are gathered.
const LARGE_BYTES: usize = 256 << 10;
const GATHERED_BYTES: usize = 1 << 20;

/// Takes whole clusters and knows where each will lie; short pieces wait until they are many.
#[derive(Debug)]
pub(super) struct Output<S> {
    sink: S,
    gathered: AlignedBuffer,
}

impl<S: ImageSink> Output<S> {
    pub(super) fn new(sink: S) -> Self {
        let gathered = AlignedBuffer::new(GATHERED_BYTES);
        Self { sink, gathered }
    }

    /// Where the next cluster will lie.
    pub(super) fn position(&self) -> u64 {
        self.sink.position() + self.gathered.len() as u64
    }

    /// Appends `bytes`, filled up to whole clusters, and says where they begin.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<u64, WriteError> {
        let offset = self.position();
        let tail = bytes.len() % CLUSTER_LENGTH;
        let (whole, short) = bytes.split_at(bytes.len() - tail);
        if whole.len() >= LARGE_BYTES {
            self.flush()?;
            self.send(whole)?;
        } else {
            self.gather(whole, whole.len())?;
        }
        if tail > 0 {
            self.gather(short, CLUSTER_LENGTH)?;
        }
        Ok(offset)
    }

    fn gather(&mut self, bytes: &[u8], padded_length: usize) -> Result<(), WriteError> {
        if self.gathered.room() < padded_length {
            self.flush()?;
        }
        self.gathered.push(bytes);
        self.gathered.push_zeroes(padded_length - bytes.len());
        Ok(())
    }

    /// Sends what was gathered.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let offset = self.sink.position();
        let sent = self.sink.append(self.gathered.bytes());
        sent.map_err(|source| WriteError::Sink { offset, source })?;
        self.gathered.clear();
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let offset = self.sink.position();
        let sent = self.sink.append(bytes);
        sent.map_err(|source| WriteError::Sink { offset, source })
    }

    /// Makes all that was appended durable.
    pub(super) fn sync(&mut self) -> Result<(), WriteError> {
        self.flush()?;
        let offset = self.sink.position();
        let synced = self.sink.sync();
        synced.map_err(|source| WriteError::Sink { offset, source })
    }

    pub(super) fn finish(mut self, head: &[u8]) -> Result<(), WriteError> {
        self.flush()?;
        let finished = self.sink.finish(head);
        finished.map_err(|source| WriteError::Sink { offset: 0, source })
    }
}
