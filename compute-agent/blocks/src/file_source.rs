//! A raw file or a block device as a source, read directly: no server between, and to the byte, where
//! a server can only tell whole sectors.

mod reader;

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_direct_io::DirectFile;
use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::unistd::{Whence, lseek};
use reader::FileReader;

use crate::{BlocksError, Changes, DiskReader, Extent, ExtentStream, MapDisk, ReadDisk};

/// Bytes that stand still while they are read.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    file: Arc<DirectFile>,
    size_bytes: u64,
}

impl FileSource {
    /// A file or device that exists; its size is the disk's.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        let failed = |error| BlocksError::io(format!("open {}", path.display()), error);
        let mut file = File::open(path).map_err(failed)?;
        // A device's metadata has no length.
        let size_bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let file = DirectFile::for_reading(file);
        if !file.is_direct() {
            let sequential = PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL;
            // A hint only.
            let _no_matter = posix_fadvise(file.file(), 0, 0, sequential);
        }
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            size_bytes,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ReadDisk for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        let Self { path, file, .. } = self;
        let reader = FileReader::new(path.clone(), file.clone(), self.size_bytes);
        Ok(Box::new(reader))
    }
}

impl MapDisk for FileSource {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        Ok(Box::new(Allocated {
            disk: self,
            offset: 0,
        }))
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        let reason = format!("a file does not track what changed since {point}");
        Ok(Changes::Unknown { reason })
    }
}

/// What lies between the holes.
struct Allocated<'a> {
    disk: &'a FileSource,
    offset: u64,
}

impl Allocated<'_> {
    fn next_extent(&mut self) -> io::Result<Option<Extent>> {
        let size = self.disk.size_bytes;
        if self.offset >= size {
            return Ok(None);
        }
        let start = next_data(self.disk.file.file(), self.offset)?.min(size);
        let end = next_hole(self.disk.file.file(), start, size)?;
        self.offset = end;
        Ok((start < end).then(|| Extent::data(start, end - start)))
    }
}

impl Iterator for Allocated<'_> {
    type Item = Result<Extent, BlocksError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_extent().map_err(|error| {
            self.offset = self.disk.size_bytes;
            let path = self.disk.path.display();
            BlocksError::io(format!("ask for the holes of {path}"), error)
        });
        next.transpose()
    }
}

/// Where the next data is from `offset` on; `u64::MAX` when there is none.
pub(crate) fn next_data(file: &File, offset: u64) -> io::Result<u64> {
    seek_for(file, offset, Whence::SeekData, offset)
}

fn next_hole(file: &File, offset: u64, size_bytes: u64) -> io::Result<u64> {
    if offset >= size_bytes {
        return Ok(size_bytes);
    }
    let hole = seek_for(file, offset, Whence::SeekHole, size_bytes)?;
    Ok(hole.min(size_bytes))
}

/// `unaware` is the answer of what does not know its holes: all of it is data.
fn seek_for(file: &File, offset: u64, whence: Whence, unaware: u64) -> io::Result<u64> {
    let from = i64::try_from(offset).map_err(io::Error::other)?;
    match lseek(file, from, whence) {
        Ok(found) => u64::try_from(found).map_err(io::Error::other),
        Err(Errno::ENXIO) => Ok(u64::MAX),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(unaware),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a pattern of bytes is cut to bytes"
)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::{Chunk, ReadPlan};

    fn read(source: &FileSource, chunk_bytes: u32) -> Result<Vec<u8>, BlocksError> {
        let size = usize::try_from(source.size_bytes()).unwrap();
        let mut bytes = vec![0xee; size];
        let mut reader = source.open_reader().unwrap();
        let all = Extent::data(0, source.size_bytes());
        let extents = (size > 0).then_some(Ok(all)).into_iter();
        let plan = ReadPlan {
            chunk_bytes,
            window: 5,
        };
        let mut at = 0;
        for chunk in reader.read(Box::new(extents), plan) {
            match chunk? {
                Chunk::Data { offset, bytes: b } => {
                    let offset = usize::try_from(offset).unwrap();
                    assert_eq!(offset, at);
                    bytes[offset..offset + b.len()].copy_from_slice(&b);
                    at = offset + b.len();
                }
                Chunk::Zero { .. } => panic!("no zeroes were asked for"),
            }
        }
        Ok(bytes)
    }

    #[test]
    fn every_size_is_read_to_the_byte_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        for size in [0, 1, 511, 512, 513, 65_537, 1_000_003] {
            let bytes: Vec<u8> = (0..size).map(|n: usize| (n * 31 % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let source = FileSource::open(&path).unwrap();
            assert_eq!(source.size_bytes(), size as u64);
            assert!(read(&source, 4096).unwrap() == bytes, "{size}");
        }
    }

    #[test]
    fn holes_are_not_allocated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let file = File::create(&path).unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(&[1; 65536], 3 << 20).unwrap();
        let source = FileSource::open(&path).unwrap();
        let allocated = source.allocated().unwrap();
        let extents: Vec<_> = allocated.map(Result::unwrap).collect();
        assert_eq!(extents, [Extent::data(3 << 20, 65536)]);
    }

    #[test]
    fn a_file_that_was_cut_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        std::fs::write(&path, vec![1; 100_000]).unwrap();
        let source = FileSource::open(&path).unwrap();
        std::fs::write(&path, vec![1; 50_000]).unwrap();
        assert!(read(&source, 4096).is_err());
    }
}
