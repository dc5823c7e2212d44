//! A disk in memory, for tests of what reads and writes disks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    BlocksError, Changes, Chunk, ChunkStream, DiskReader, DiskSink, ErrorKind, Extent, ExtentKind,
    ExtentStream, MapDisk, ReadDisk, ReadPlan, WriteDisk, chunk::Pieces,
};

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    allocated: Vec<Extent>,
    changed: BTreeMap<String, Vec<Extent>>,
    read_bytes: u64,
    flushes: u64,
    fail_at: Option<u64>,
}

/// Source and target in one; clones share the bytes.
#[derive(Debug, Clone)]
pub struct MemoryDisk(Arc<Mutex<State>>);

impl MemoryDisk {
    /// A disk with these bytes, all of them allocated.
    pub fn new(bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        let allocated = if length > 0 {
            vec![Extent::data(0, length)]
        } else {
            Vec::new()
        };
        Self(Arc::new(Mutex::new(State {
            bytes,
            allocated,
            ..State::default()
        })))
    }

    /// What the disk will call allocated.
    pub fn with_allocated(self, extents: impl IntoIterator<Item = Extent>) -> Self {
        self.state().allocated = extents.into_iter().collect();
        self
    }

    /// What the disk will say changed since `point`; other points are unknown.
    pub fn with_changes(self, point: &str, extents: impl IntoIterator<Item = Extent>) -> Self {
        self.state()
            .changed
            .insert(point.to_owned(), extents.into_iter().collect());
        self
    }

    /// Makes every read and write that touches this byte fail.
    pub fn failing_at(self, offset: u64) -> Self {
        self.state().fail_at = Some(offset);
        self
    }

    /// The size the guest sees, without naming one of the traits that also tell it.
    pub fn size_bytes(&self) -> u64 {
        self.state().bytes.len() as u64
    }

    /// The bytes as they are.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// How many bytes were read so far.
    pub fn read_bytes(&self) -> u64 {
        self.state().read_bytes
    }

    /// How often a sink was flushed.
    pub fn flushes(&self) -> u64 {
        self.state().flushes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn range(&mut self, doing: &str, offset: u64, length: u64) -> Result<&mut [u8], BlocksError> {
        let told = format!("{doing} {length} bytes at {offset} of a disk in memory");
        let end = offset.checked_add(length);
        if let (Some(fail), Some(end)) = (self.fail_at, end)
            && (offset..end).contains(&fail)
        {
            return Err(BlocksError::new(ErrorKind::Io, told));
        }
        let start = usize::try_from(offset).ok();
        let end = end.and_then(|end| usize::try_from(end).ok());
        start
            .zip(end)
            .and_then(|(start, end)| self.bytes.get_mut(start..end))
            .ok_or_else(|| BlocksError::new(ErrorKind::Invalid, told))
    }
}

impl ReadDisk for MemoryDisk {
    fn size_bytes(&self) -> u64 {
        Self::size_bytes(self)
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        Ok(Box::new(self.clone()))
    }
}

impl DiskReader for MemoryDisk {
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, plan: ReadPlan) -> ChunkStream<'a> {
        let pieces = Pieces::new(extents, Self::size_bytes(self), plan.chunk_bytes);
        let mut failed = false;
        Box::new(pieces.map_while(move |piece| {
            if failed {
                return None;
            }
            let chunk = piece.and_then(|piece| self.read_piece(piece));
            failed = chunk.is_err();
            Some(chunk)
        }))
    }
}

impl MemoryDisk {
    fn read_piece(&self, piece: Extent) -> Result<Chunk, BlocksError> {
        let Extent {
            offset,
            length,
            kind,
        } = piece;
        if kind == ExtentKind::Zero {
            return Ok(Chunk::Zero { offset, length });
        }
        let mut state = self.state();
        let bytes = state.range("read", offset, length)?.to_vec().into();
        state.read_bytes += length;
        Ok(Chunk::Data { offset, bytes })
    }
}

impl MapDisk for MemoryDisk {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        Ok(Box::new(self.state().allocated.clone().into_iter().map(Ok)))
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        Ok(match self.state().changed.get(point) {
            Some(extents) => Changes::Known(Box::new(extents.clone().into_iter().map(Ok))),
            None => Changes::Unknown {
                reason: format!("the disk does not know {point}"),
            },
        })
    }
}

impl WriteDisk for MemoryDisk {
    fn size_bytes(&self) -> u64 {
        Self::size_bytes(self)
    }

    fn open_sink(&self) -> Result<Box<dyn DiskSink>, BlocksError> {
        Ok(Box::new(self.clone()))
    }
}

impl DiskSink for MemoryDisk {
    fn size_bytes(&self) -> u64 {
        Self::size_bytes(self)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BlocksError> {
        self.state()
            .range("write", offset, bytes.len() as u64)?
            .copy_from_slice(bytes);
        Ok(())
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), BlocksError> {
        self.state().range("zero", offset, length)?.fill(0);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlocksError> {
        self.state().flushes += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_gives_chunks_in_order_and_counts_what_it_read() {
        let disk = MemoryDisk::new((0..100).collect())
            .with_allocated([Extent::data(0, 30), Extent::zero(30, 600)]);
        let extents = Box::new([Ok(Extent::data(90, 10)), Ok(Extent::data(0, 1))].into_iter());
        let mut reader = disk.open_reader().unwrap();
        let mut chunks = reader.read(extents, ReadPlan::default());
        let bytes = (90..100).collect::<Vec<u8>>().into();
        assert_eq!(
            chunks.next().unwrap().unwrap(),
            Chunk::Data { offset: 90, bytes }
        );
        assert_eq!(
            chunks.next().unwrap().unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert!(chunks.next().is_none());
        assert_eq!(disk.read_bytes(), 10);
    }

    #[test]
    fn a_disk_fails_where_it_was_told_to_and_nowhere_else() {
        let disk = MemoryDisk::new(vec![0; 100]).failing_at(50);
        let mut sink = disk.open_sink().unwrap();
        sink.write_at(0, &[1; 50]).unwrap();
        assert_eq!(sink.write_at(50, &[1]).unwrap_err().kind(), ErrorKind::Io);
        sink.zero_at(51, 49).unwrap();
        assert_eq!(sink.zero_at(60, 41).unwrap_err().kind(), ErrorKind::Invalid);
        sink.flush().unwrap();
        assert_eq!(disk.flushes(), 1);
    }

    #[test]
    fn a_point_nobody_told_of_is_unknown() {
        let disk = MemoryDisk::new(vec![0; 100]).with_changes("monday", [Extent::data(5, 5)]);
        assert!(matches!(
            disk.changed_since("monday").unwrap(),
            Changes::Known(_)
        ));
        assert!(matches!(
            disk.changed_since("sunday").unwrap(),
            Changes::Unknown { .. }
        ));
    }
}
