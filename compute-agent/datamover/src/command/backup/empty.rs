use agent_blocks::{
    BlocksError, Changes, ChunkStream, DiskReader, ExtentStream, MapDisk, ReadDisk, ReadPlan,
};

/// A disk of zeroes, for the image of a disk without bytes.
pub(super) struct EmptyDisk(u64);

impl EmptyDisk {
    pub(super) fn of(size_bytes: u64) -> Self {
        Self(size_bytes)
    }
}

impl ReadDisk for EmptyDisk {
    fn size_bytes(&self) -> u64 {
        self.0
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        Ok(Box::new(NothingToRead))
    }
}

impl MapDisk for EmptyDisk {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn changed_since(&self, _point: &str) -> Result<Changes<'_>, BlocksError> {
        let all = agent_blocks::Extent::zero(0, self.0);
        Ok(Changes::Known(Box::new(std::iter::once(Ok(all)))))
    }
}

struct NothingToRead;

impl DiskReader for NothingToRead {
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, _plan: ReadPlan) -> ChunkStream<'a> {
        Box::new(extents.map(|extent| {
            extent.map(|extent| agent_blocks::Chunk::Zero {
                offset: extent.offset,
                length: extent.length,
            })
        }))
    }
}
