//! Writing into a file in pieces as large as its free clusters allow.

use super::MergeError;
use crate::ImageUpdate;

const BUFFER_BYTES: usize = 2 << 20;

/// Gathers what lies in a row.
pub(super) struct Output<'a> {
    update: &'a mut dyn ImageUpdate,
    buffer: Vec<u8>,
    start: u64,
    length: usize,
}

impl<'a> Output<'a> {
    pub(super) fn new(update: &'a mut dyn ImageUpdate) -> Self {
        Self {
            update,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            length: 0,
        }
    }

    /// Room for bytes that will lie at `offset`: as much of `length` as there is at once. All of it must
    /// be filled.
    pub(super) fn room(&mut self, offset: u64, length: u64) -> Result<&mut [u8], MergeError> {
        let follows = self.start + self.length as u64 == offset;
        if !follows || self.length == BUFFER_BYTES {
            self.flush()?;
            self.start = offset;
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let from = self.length;
        self.length = from.saturating_add(length).min(BUFFER_BYTES);
        Ok(self.buffer.get_mut(from..self.length).unwrap_or_default())
    }

    pub(super) fn write(&mut self, offset: u64, mut bytes: &[u8]) -> Result<(), MergeError> {
        let mut at = offset;
        while !bytes.is_empty() {
            let room = self.room(at, bytes.len() as u64)?;
            let (now, later) = bytes.split_at(room.len());
            room.copy_from_slice(now);
            at += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), MergeError> {
        let bytes = self.buffer.get(..self.length).unwrap_or_default();
        if !bytes.is_empty() {
            let written = self.update.write_all_at(bytes, self.start);
            written.map_err(|source| MergeError::Write {
                offset: self.start,
                source,
            })?;
        }
        self.length = 0;
        Ok(())
    }

    /// Writes what is left, makes the file at least `length` long and all of it durable.
    pub(super) fn finish(mut self, length: u64) -> Result<(), MergeError> {
        self.flush()?;
        let failed = |source| MergeError::Write {
            offset: length,
            source,
        };
        if self.update.size_bytes() < length {
            self.update.write_all_at(&[0], length - 1).map_err(failed)?;
        }
        self.update.sync().map_err(failed)
    }
}
