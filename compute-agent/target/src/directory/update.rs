//! Images changed where they lie.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use agent_format::ObjectName;
use agent_qcow2::ImageUpdate;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::folder::Folder;
use crate::error::annotated;

/// Changes an image.
pub(super) struct Update {
    file: FileUpdate,
    name: ObjectName,
}

impl Update {
    pub(super) fn open(folder: &Folder, file: &str, name: &ObjectName) -> io::Result<Self> {
        Ok(Self {
            file: FileUpdate::new(folder.reopen_file(file)?)?,
            name: name.clone(),
        })
    }

    fn annotate<T>(&self, operation: &'static str, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| annotated(operation, self.name.as_str(), error))
    }
}

impl ImageUpdate for Update {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let result = self.file.read_exact_at(buffer, offset);
        self.annotate("read", result)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let result = self.file.write_all_at(bytes, offset);
        self.annotate("change image", result)
    }

    fn sync(&mut self) -> io::Result<()> {
        let result = self.file.sync();
        self.annotate("flush image", result)
    }

    fn punch(&mut self, range: Range<u64>) -> io::Result<()> {
        let result = self.file.punch(range);
        self.annotate("give space of image back", result)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let result = self.file.cut(length);
        self.annotate("shorten image", result)
    }

    fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }
}

struct FileUpdate {
    file: File,
    size_bytes: u64,
    can_punch: bool,
}

impl FileUpdate {
    fn new(file: File) -> io::Result<Self> {
        let size_bytes = file.metadata()?.len();
        Ok(Self {
            file,
            size_bytes,
            can_punch: true,
        })
    }
}

impl ImageUpdate for FileUpdate {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.size_bytes = self.size_bytes.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn punch(&mut self, range: Range<u64>) -> io::Result<()> {
        let end = range.end.min(self.size_bytes);
        if !self.can_punch || range.start >= end {
            return Ok(());
        }
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let offset = i64::try_from(range.start).map_err(out_of_range)?;
        let length = i64::try_from(end - range.start).map_err(out_of_range)?;
        match fallocate(&self.file, mode, offset, length) {
            Ok(()) => Ok(()),
            // Many file systems cannot (NFS before 4.2 among them); it is asked once.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                self.can_punch = false;
                Ok(())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if length < self.size_bytes {
            self.file.set_len(length)?;
            self.size_bytes = length;
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_punched_range_gives_its_space_back_and_the_rest_stays() {
        let file = tempfile::tempfile().unwrap();
        let mut update = FileUpdate::new(file.try_clone().unwrap()).unwrap();
        update.write_all_at(&[7; 3 << 16], 0).unwrap();
        update.sync().unwrap();
        let before = file.metadata().unwrap().blocks();
        update.punch(1 << 16..2 << 16).unwrap();
        update.punch(9 << 16..10 << 16).unwrap();
        update.sync().unwrap();
        assert!(file.metadata().unwrap().blocks() < before);
        let mut bytes = [0; 1 << 16];
        update.read_exact_at(&mut bytes, 2 << 16).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 7));
        assert_eq!(update.size_bytes(), 3 << 16);
    }

    #[test]
    fn it_knows_its_length() {
        let mut update = FileUpdate::new(tempfile::tempfile().unwrap()).unwrap();
        update.write_all_at(&[1; 10], 90).unwrap();
        assert_eq!(update.size_bytes(), 100);
        update.cut(200).unwrap();
        assert_eq!(update.size_bytes(), 100);
        update.cut(95).unwrap();
        assert_eq!(update.size_bytes(), 95);
        let error = update.read_exact_at(&mut [0; 6], 90).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
