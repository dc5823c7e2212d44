//! Reading a file piece by piece. One read is in flight: who wants more opens more readers.

use std::{io, path::PathBuf, sync::Arc};

use agent_direct_io::{Buffer, BufferPool, DIRECT_ALIGNMENT, DirectFile};

use crate::{
    BlocksError, Chunk, ChunkStream, DiskReader, Extent, ExtentKind, ExtentStream, ReadPlan,
    chunk::Pieces,
};

/// Memory of chunks that were dropped and will be read into again.
const KEPT_BYTES: usize = 4 << 20;

pub(super) struct FileReader {
    path: PathBuf,
    file: Arc<DirectFile>,
    size_bytes: u64,
    pool: BufferPool,
}

impl FileReader {
    pub(super) fn new(path: PathBuf, file: Arc<DirectFile>, size_bytes: u64) -> Self {
        Self {
            path,
            file,
            size_bytes,
            pool: BufferPool::new(KEPT_BYTES),
        }
    }

    fn read_piece(&self, piece: Extent) -> Result<Chunk, BlocksError> {
        let Extent {
            offset,
            length,
            kind,
        } = piece;
        if kind == ExtentKind::Zero {
            return Ok(Chunk::Zero { offset, length });
        }
        let read = self.read_bytes(offset, length).map_err(|error| {
            let doing = format!("read {length} bytes at {offset} of {}", self.path.display());
            BlocksError::io(doing, error)
        })?;
        Ok(Chunk::Data {
            offset,
            bytes: read,
        })
    }

    fn read_bytes(&self, offset: u64, length: u64) -> io::Result<Buffer> {
        let alignment = DIRECT_ALIGNMENT as u64;
        let start = offset - offset % alignment;
        let wanted = (offset + length - start).next_multiple_of(alignment);
        let in_memory = |bytes: u64| usize::try_from(bytes).map_err(io::Error::other);
        let mut bytes = self.pool.take(in_memory(wanted)?);
        let read = self.file.read_at(&mut bytes, start)?;
        // The end of the last sector may lie past the file's.
        if (read as u64) < offset + length - start {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.advance(in_memory(offset - start)?);
        bytes.truncate(in_memory(length)?);
        Ok(bytes)
    }
}

impl DiskReader for FileReader {
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, plan: ReadPlan) -> ChunkStream<'a> {
        let pieces = Pieces::new(extents, self.size_bytes, plan.chunk_bytes);
        let mut has_failed = false;
        Box::new(pieces.map_while(move |piece| {
            if has_failed {
                return None;
            }
            let chunk = piece.and_then(|piece| self.read_piece(piece));
            has_failed = chunk.is_err();
            Some(chunk)
        }))
    }
}
