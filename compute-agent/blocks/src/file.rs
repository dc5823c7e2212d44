//! A raw file or a block device as a target, written directly.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_direct_io::DirectFile;
use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    sys::statfs::{BTRFS_SUPER_MAGIC, FsType, fstatfs},
};

use crate::{BlocksError, DiskSink, ErrorKind, WriteDisk};

/// As the kernel's module says it.
const ZFS_SUPER_MAGIC: FsType = FsType(0x2fc1_2fc1);
/// Written where space cannot be freed.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// A disk of raw bytes.
#[derive(Debug)]
pub struct FileTarget {
    path: PathBuf,
    file: Arc<DirectFile>,
    size_bytes: u64,
}

impl FileTarget {
    /// A file or device that exists; its size is the disk's.
    pub fn open(path: &Path) -> Result<Self, BlocksError> {
        let doing = || format!("open {} for writing", path.display());
        let failed = |error| BlocksError::io(doing(), error);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(path).map_err(failed)?;
        let size_bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(DirectFile::for_writing(file)),
            size_bytes,
        })
    }

    /// A new file, all zero; one that exists already is refused.
    pub fn create(path: &Path, size_bytes: u64) -> Result<Self, BlocksError> {
        let made = File::create_new(path).and_then(|file| file.set_len(size_bytes));
        made.map_err(|error| BlocksError::io(format!("create {}", path.display()), error))?;
        Self::open(path)
    }

    fn sink(&self) -> FileSink {
        FileSink {
            path: self.path.clone(),
            file: self.file.clone(),
            size_bytes: self.size_bytes,
        }
    }
}

fn may_compress(file: &File) -> bool {
    let kind = fstatfs(file).map(|stat| stat.filesystem_type());
    kind.is_ok_and(|kind| [BTRFS_SUPER_MAGIC, ZFS_SUPER_MAGIC].contains(&kind))
}

impl WriteDisk for FileTarget {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Else a file system gets the space write by write, and lets nobody else write to the file
    /// meanwhile. One that may compress is not asked: it would count, or keep, the bytes as they are.
    fn reserve(&self, offset: u64, length: u64) -> Result<(), BlocksError> {
        let sink = self.sink();
        sink.check("reserve", offset, length)?;
        if length == 0 || may_compress(self.file.file()) {
            return Ok(());
        }
        let reserved = sink.allocate(FallocateFlags::FALLOC_FL_KEEP_SIZE, offset, length);
        let doing = || sink.doing("reserve", offset, length);
        reserved.map_err(|errno| BlocksError::io(doing(), errno.into()))?;
        Ok(())
    }

    fn open_sink(&self) -> Result<Box<dyn DiskSink>, BlocksError> {
        Ok(Box::new(self.sink()))
    }
}

struct FileSink {
    path: PathBuf,
    file: Arc<DirectFile>,
    size_bytes: u64,
}

impl FileSink {
    fn doing(&self, verb: &str, offset: u64, length: u64) -> String {
        format!(
            "{verb} {length} bytes at {offset} of {}",
            self.path.display()
        )
    }

    fn check(&self, verb: &str, offset: u64, length: u64) -> Result<(), BlocksError> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size_bytes => Ok(()),
            _ => {
                let doing = self.doing(verb, offset, length);
                Err(BlocksError::new(
                    ErrorKind::Invalid,
                    format!("{doing}, beyond its end"),
                ))
            }
        }
    }

    /// Reads of a punched hole give zeroes on files and on block devices alike.
    fn punch(&self, offset: u64, length: u64) -> Result<bool, Errno> {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        self.allocate(hole, offset, length)
    }

    /// False where the file system or device cannot.
    fn allocate(&self, flags: FallocateFlags, offset: u64, length: u64) -> Result<bool, Errno> {
        let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
            return Ok(false);
        };
        loop {
            match fallocate(self.file.file(), flags, offset, length) {
                Ok(()) => return Ok(true),
                Err(Errno::EINTR) => {}
                // Also what a device answers to a range that does not fit its sectors.
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::ENODEV) => {
                    return Ok(false);
                }
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl DiskSink for FileSink {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BlocksError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.check("write", offset, length)?;
        let written = self.file.write_all_at(bytes, offset);
        written.map_err(|error| BlocksError::io(self.doing("write", offset, length), error))?;
        Ok(())
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), BlocksError> {
        self.check("zero", offset, length)?;
        let doing = || self.doing("zero", offset, length);
        if length == 0
            || self
                .punch(offset, length)
                .map_err(|e| BlocksError::io(doing(), e.into()))?
        {
            return Ok(());
        }
        let (mut at, mut left) = (offset, length);
        while left > 0 {
            let part = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(ZEROES.len());
            let zeroes = ZEROES.get(..part).unwrap_or_default();
            self.file
                .write_all_at(zeroes, at)
                .map_err(|error| BlocksError::io(doing(), error))?;
            let part = u64::try_from(part).unwrap_or(left);
            at += part;
            left -= part;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BlocksError> {
        let flushed = self.file.file().sync_data();
        flushed.map_err(|error| BlocksError::io(format!("flush {}", self.path.display()), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_zeroed_and_flushed_is_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let target = FileTarget::create(&path, 300_000).unwrap();
        let mut sink = target.open_sink().unwrap();
        sink.write_at(0, &vec![7; 300_000]).unwrap();
        sink.zero_at(100, 200_000).unwrap();
        sink.write_at(299_999, &[1]).unwrap();
        sink.flush().unwrap();
        let mut want = vec![7; 300_000];
        want[100..200_100].fill(0);
        want[299_999] = 1;
        assert!(std::fs::read(&path).unwrap() == want);
    }

    #[test]
    fn writing_beyond_the_end_is_refused_and_does_not_grow_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let mut sink = FileTarget::create(&path, 1000)
            .unwrap()
            .open_sink()
            .unwrap();
        assert_eq!(
            sink.write_at(999, &[1, 2]).unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_eq!(
            sink.zero_at(u64::MAX, 2).unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1000);
    }

    #[test]
    fn what_is_reserved_has_space_and_keeps_its_bytes() {
        use std::os::unix::fs::MetadataExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        let target = FileTarget::create(&path, 8 << 20).unwrap();
        let mut sink = target.open_sink().unwrap();
        sink.write_at(1 << 20, &[7; 4096]).unwrap();
        target.reserve(1 << 20, 2 << 20).unwrap();
        target.reserve(0, 0).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.len(), 8 << 20);
        let taken = metadata.blocks() * 512;
        assert!((2 << 20..4 << 20).contains(&taken), "{taken}");
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes[1 << 20..][..4096].iter().all(|byte| *byte == 7));
        assert!(bytes[(1 << 20) + 4096..].iter().all(|byte| *byte == 0));
        let beyond = target.reserve(7 << 20, 2 << 20).unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_file_that_exists_is_not_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, b"kept").unwrap();
        assert!(FileTarget::create(&path, 1000).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }
}
