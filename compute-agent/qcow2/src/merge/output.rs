//! Writing into a file in pieces as large as its free clusters allow, by a thread of its own.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use agent_direct_io::{Buffer, BufferPool};

use super::MergeError;
use crate::ImageUpdate;

const BUFFER_BYTES: usize = 2 << 20;
/// One is filled, one is written, one waits.
const BUFFERS: usize = 3;

/// Gathers what lies in a row. The file is free again when the output is gone.
pub(super) struct Output {
    pieces: SyncSender<Piece>,
    returned: Receiver<Result<Buffer, MergeError>>,
    pool: BufferPool,
    buffer: Buffer,
    start: u64,
    length: usize,
    /// Buffers that the writer has.
    away: usize,
    /// Buffers that there may still be.
    more: usize,
}

struct Piece {
    offset: u64,
    length: usize,
    buffer: Buffer,
}

impl Output {
    pub(super) fn new<'scope>(
        scope: &'scope Scope<'scope, '_>,
        update: &'scope mut (dyn ImageUpdate + 'scope),
    ) -> Self {
        let (pieces, work) = sync_channel(BUFFERS);
        let (done, returned) = channel();
        scope.spawn(move || write_all(update, &work, &done));
        let pool = BufferPool::new(0);
        Self {
            pieces,
            returned,
            buffer: pool.take(BUFFER_BYTES),
            pool,
            start: 0,
            length: 0,
            away: 0,
            more: BUFFERS - 1,
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
        if self.length == 0 {
            return Ok(());
        }
        let next = if self.more > 0 {
            self.more -= 1;
            self.pool.take(BUFFER_BYTES)
        } else {
            self.take_back()?
        };
        let piece = Piece {
            offset: self.start,
            length: self.length,
            buffer: std::mem::replace(&mut self.buffer, next),
        };
        self.length = 0;
        self.away += 1;
        // Should nobody take it, the writer has said why.
        let _writer_has_failed = self.pieces.send(piece);
        Ok(())
    }

    fn take_back(&mut self) -> Result<Buffer, MergeError> {
        self.away -= 1;
        self.returned.recv().unwrap_or_else(|_| {
            let source = std::io::Error::other("writing ended without a word");
            Err(MergeError::Write { offset: 0, source })
        })
    }

    /// Waits until all is written, not until it is durable.
    pub(super) fn finish(mut self) -> Result<(), MergeError> {
        self.flush()?;
        while self.away > 0 {
            self.take_back()?;
        }
        Ok(())
    }
}

/// Ends when nobody has anything to write any more, or with the first error.
fn write_all(
    update: &mut dyn ImageUpdate,
    work: &Receiver<Piece>,
    done: &Sender<Result<Buffer, MergeError>>,
) {
    for piece in work {
        let Piece {
            offset,
            length,
            buffer,
        } = piece;
        let written = update.write_all_at(buffer.get(..length).unwrap_or_default(), offset);
        let result = written
            .map(|()| buffer)
            .map_err(|source| MergeError::Write { offset, source });
        let has_failed = result.is_err();
        if done.send(result).is_err() || has_failed {
            return;
        }
    }
}
