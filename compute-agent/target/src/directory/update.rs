//! Images changed where they lie.
//!
//! Long pieces go past the page cache where that can be, as those of a new image do: growing a file through
//! the cache costs more than the disk needs.

use std::fs::File;
use std::io;
use std::ops::Range;

use agent_direct_io::DirectFile;
use agent_format::ObjectName;
use agent_qcow2::ImageUpdate;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::folder::Folder;
use crate::error::annotated;

/// Shorter pieces are better written together, later, in the order of the disk.
const LONG_BYTES: usize = 1 << 20;

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
    file: DirectFile,
    size_bytes: u64,
    can_punch: bool,
}

impl FileUpdate {
    fn new(file: File) -> io::Result<Self> {
        let size_bytes = file.metadata()?.len();
        Ok(Self {
            file: DirectFile::for_writing(file).from_length(LONG_BYTES),
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
        self.file.file().sync_all()
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
        match fallocate(self.file.file(), mode, offset, length) {
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
            self.file.file().set_len(length)?;
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

    use agent_direct_io::DIRECT_ALIGNMENT;

    use super::*;

    #[test]
    fn pieces_of_any_length_and_place_are_where_they_belong() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("image"), [1; 100]).unwrap();
        let root = Folder::open_root(folder.path()).unwrap();
        let name = ObjectName::new("image").unwrap();
        let mut update = Update::open(&root, "image", &name).unwrap();
        let memory: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
        let start = memory.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let mut want = vec![1; 100];
        for (from, length, offset) in [
            (start, 2 << 20, 1 << 20),
            (start + 1, 2 << 20, 3 << 20),
            (start, 2 << 20, (2 << 20) + 7),
            (start, 4096, 0),
            (start, 1 << 20, 4096),
        ] {
            let piece = &memory[from..from + length];
            update.write_all_at(piece, offset as u64).unwrap();
            want.resize(want.len().max(offset + length), 0);
            want[offset..offset + length].copy_from_slice(piece);
        }
        update.sync().unwrap();
        assert_eq!(update.size_bytes(), want.len() as u64);
        assert!(std::fs::read(folder.path().join("image")).unwrap() == want);
    }

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
