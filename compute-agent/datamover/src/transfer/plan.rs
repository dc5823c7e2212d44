//! What a transfer reads, written down before its first byte: so that a resumed transfer reads exactly
//! the rest, that the whole is known from the start, and that a listing which fails at its very end
//! has not been believed.
//!
//! A file of records, 17 bytes each, little-endian: offset, length, kind (0 data, 1 zero).

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use agent_blocks::{BlocksError, Extent, ExtentKind};

use super::error::{JobError, disk};
use crate::journal::Journal;

const RECORD: usize = 17;

/// Writes the extents down; the bytes of data among them.
pub(crate) fn make(
    journal: &Journal,
    path: &Path,
    extents: impl Iterator<Item = Result<Extent, BlocksError>>,
) -> Result<(), JobError> {
    let mut listing = Ok(());
    journal
        .replace(path, |file| {
            let mut out = BufWriter::new(file);
            for extent in extents {
                match extent {
                    Ok(extent) => out.write_all(&record(extent))?,
                    Err(error) => {
                        listing = Err(disk("list what is on the disk")(error));
                        return Err(io::Error::other("the disk could not be listed"));
                    }
                }
            }
            out.flush()
        })
        .map_err(JobError::Journal)
        .or_else(|error| listing.and(Err(error)))
}

/// Bytes of data in the plan.
pub(crate) fn data_bytes(path: &Path) -> Result<u64, JobError> {
    let mut sum = 0;
    for extent in read(path)? {
        let extent = extent.map_err(JobError::Plan)?;
        if extent.kind == ExtentKind::Data {
            sum += extent.length;
        }
    }
    Ok(sum)
}

/// The extents again.
pub(crate) fn read(path: &Path) -> Result<PlanReader, JobError> {
    let file = File::open(path).map_err(JobError::Plan)?;
    Ok(PlanReader(BufReader::with_capacity(64 << 10, file)))
}

pub(crate) struct PlanReader(BufReader<File>);

impl Iterator for PlanReader {
    type Item = io::Result<Extent>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.fill_buf() {
            Ok([]) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        // What ends inside of a record is not the whole plan.
        let mut bytes = [0; RECORD];
        Some(self.0.read_exact(&mut bytes).and_then(|()| extent(&bytes)))
    }
}

fn record(extent: Extent) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    let (offset, rest) = bytes.split_at_mut(8);
    let (length, kind) = rest.split_at_mut(8);
    offset.copy_from_slice(&extent.offset.to_le_bytes());
    length.copy_from_slice(&extent.length.to_le_bytes());
    kind.copy_from_slice(&[u8::from(extent.kind == ExtentKind::Zero)]);
    bytes
}

fn extent(bytes: &[u8; RECORD]) -> io::Result<Extent> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a record makes no sense");
    let (offset, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
    let (length, kind) = rest.split_first_chunk().ok_or_else(damaged)?;
    let (offset, length) = (u64::from_le_bytes(*offset), u64::from_le_bytes(*length));
    match kind {
        [0] => Ok(Extent::data(offset, length)),
        [1] => Ok(Extent::zero(offset, length)),
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    use agent_blocks::Extent;
    use agent_blocks::MapDisk;
    use agent_blocks::memory::MemoryDisk;

    use super::{data_bytes, make, read};
    use crate::journal::Journal;
    use crate::transfer::error::JobError;

    fn extents() -> [Extent; 3] {
        [
            Extent::data(0, 100),
            Extent::zero(100, 50),
            Extent::data(200, 10),
        ]
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().into()).unwrap();
        let path = folder.path().join("plan");
        let disk = MemoryDisk::new(vec![]).with_allocated(extents());
        make(&journal, &path, disk.allocated().unwrap()).unwrap();
        let again: Vec<_> = read(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(again, extents());
        assert_eq!(data_bytes(&path).unwrap(), 110);
    }

    #[test]
    fn a_torn_plan_is_no_shorter_plan() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().into()).unwrap();
        let path = folder.path().join("plan");
        make(&journal, &path, extents().into_iter().map(Ok)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(data_bytes(&path), Err(JobError::Plan(_))));
    }

    #[test]
    fn a_listing_that_fails_at_its_end_leaves_no_plan() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().into()).unwrap();
        let path = folder.path().join("plan");
        // Reading past a disk's end is an error that only the disk can make.
        let disk = MemoryDisk::new(vec![1; 10]).failing_at(5);
        let mut sink = agent_blocks::WriteDisk::open_sink(&disk).unwrap();
        let error = sink.write_at(0, &[0; 10]).unwrap_err();
        let listing = [Ok(Extent::data(0, 100)), Err(error)];
        let failed = make(&journal, &path, listing.into_iter());
        assert!(matches!(failed, Err(JobError::Disk { .. })), "{failed:?}");
        assert!(!path.exists());
    }
}
