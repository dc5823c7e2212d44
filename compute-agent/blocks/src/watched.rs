//! A disk that somebody may begin to write to while it is read.

use std::sync::Arc;

use crate::{
    BlocksError, Changes, Chunk, ChunkStream, DiskReader, DiskSource, ExtentStream, MapDisk,
    ReadDisk, ReadPlan,
};

type StandsStill = Arc<dyn Fn() -> Result<(), BlocksError> + Send + Sync>;

/// Reads the disk, and asks at the end of each stream of chunks whether it stood still until then. If
/// not, the stream ends with an error: what was built from it is worth nothing.
pub struct Watched {
    disk: Box<dyn DiskSource>,
    stands_still: StandsStill,
}

impl Watched {
    /// `stands_still` fails once somebody may have written since the point in time that is read.
    pub fn new(
        disk: Box<dyn DiskSource>,
        stands_still: impl Fn() -> Result<(), BlocksError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            disk,
            stands_still: Arc::new(stands_still),
        }
    }
}

impl ReadDisk for Watched {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        Ok(Box::new(WatchedReader {
            reader: self.disk.open_reader()?,
            stands_still: self.stands_still.clone(),
        }))
    }
}

impl MapDisk for Watched {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        self.disk.allocated()
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        self.disk.changed_since(point)
    }
}

struct WatchedReader {
    reader: Box<dyn DiskReader>,
    stands_still: StandsStill,
}

impl DiskReader for WatchedReader {
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, plan: ReadPlan) -> ChunkStream<'a> {
        Box::new(WatchedStream {
            chunks: self.reader.read(extents, plan),
            stands_still: Some(self.stands_still.clone()),
        })
    }
}

struct WatchedStream<'a> {
    chunks: ChunkStream<'a>,
    /// Asked once.
    stands_still: Option<StandsStill>,
}

impl Iterator for WatchedStream<'_> {
    type Item = Result<Chunk, BlocksError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.chunks.next() {
            Some(Err(error)) => {
                self.stands_still = None;
                Some(Err(error))
            }
            Some(chunk) => Some(chunk),
            None => self.stands_still.take()?().err().map(Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Extent, memory::MemoryDisk};

    fn read(stands_still: bool) -> (usize, Option<ErrorKind>) {
        let disk = Watched::new(Box::new(MemoryDisk::new(vec![7; 1000])), move || {
            if stands_still {
                return Ok(());
            }
            Err(BlocksError::new(
                ErrorKind::Unavailable,
                "read a still disk",
            ))
        });
        let mut reader = disk.open_reader().unwrap();
        let extents = [Ok(Extent::data(0, 1000))].into_iter();
        let mut stream = reader.read(Box::new(extents), ReadPlan::default());
        let mut bytes = 0;
        let failed = stream.by_ref().find_map(|chunk| match chunk {
            Ok(Chunk::Data { bytes: more, .. }) => {
                bytes += more.len();
                None
            }
            Ok(Chunk::Zero { .. }) => None,
            Err(error) => Some(error.kind()),
        });
        assert!(stream.next().is_none());
        (bytes, failed)
    }

    #[test]
    fn a_disk_that_was_written_to_fails_after_its_last_byte() {
        assert_eq!(read(true), (1000, None));
        assert_eq!(read(false), (1000, Some(ErrorKind::Unavailable)));
    }
}
