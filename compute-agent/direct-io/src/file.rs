//! A file that is opened twice.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::statfs::{NFS_SUPER_MAGIC, fstatfs};

use crate::{DIRECT_ALIGNMENT, fits};

/// A file or block device, once through the page cache and once past it; the kernel keeps both views
/// the same.
#[derive(Debug)]
pub struct DirectFile {
    cached: File,
    direct: Option<File>,
    least_bytes: usize,
    is_refused: AtomicBool,
}

impl DirectFile {
    /// `file` is open for reading.
    pub fn for_reading(file: File) -> Self {
        let direct = reopen(&file, OpenOptions::new().read(true));
        Self::new(file, direct)
    }

    /// `file` is open for writing, or for both. All goes through the cache on NFS, where each direct write
    /// would wait for the server's disk.
    pub fn for_writing(file: File) -> Self {
        let is_nfs = fstatfs(&file).is_ok_and(|stat| stat.filesystem_type() == NFS_SUPER_MAGIC);
        let direct = (!is_nfs).then(|| reopen(&file, OpenOptions::new().read(true).write(true)));
        Self::new(file, direct.flatten())
    }

    fn new(cached: File, direct: Option<File>) -> Self {
        Self {
            cached,
            direct,
            least_bytes: DIRECT_ALIGNMENT,
            is_refused: AtomicBool::new(false),
        }
    }

    /// Shorter pieces go through the cache: they are asked for again, or better written later, together.
    #[must_use]
    pub fn from_length(mut self, least_bytes: usize) -> Self {
        self.least_bytes = least_bytes;
        self
    }

    /// All goes through the cache.
    #[must_use]
    pub fn cached(mut self) -> Self {
        self.direct = None;
        self
    }

    /// Whether pieces that fit go past the cache, as far as is known.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some() && !self.is_refused.load(Ordering::Relaxed)
    }

    /// The file, for what is no transfer.
    pub fn file(&self) -> &File {
        &self.cached
    }

    /// Fills the buffer up to the file's end; says how much that was.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            let read = match self.direct_for(rest, at) {
                Some(direct) => match direct.read_at(rest, at) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                        // Whatever is wrong, the other way does without it, or tells.
                        self.is_refused.store(true, Ordering::Relaxed);
                        continue;
                    }
                    read => read,
                },
                None => self.cached.read_at(rest, at),
            };
            match read {
                Ok(0) => break,
                Ok(length) => done += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Fills the buffer; `UnexpectedEof` where the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_at(buffer, offset)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Writes all of it; says how many bytes of it are in the cache.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let whole = bytes.len() - bytes.len() % DIRECT_ALIGNMENT;
        let (whole, rest) = bytes.split_at(whole);
        let is_written = match self.direct_for(whole, offset) {
            Some(direct) => match direct.write_all_at(whole, offset) {
                Err(error) if self.refuses(&error) => false,
                written => written.map(|()| true)?,
            },
            None => false,
        };
        let (rest, offset) = if is_written {
            (rest, offset + whole.len() as u64)
        } else {
            (bytes, offset)
        };
        self.cached.write_all_at(rest, offset)?;
        Ok(rest.len())
    }

    fn direct_for(&self, bytes: &[u8], offset: u64) -> Option<&File> {
        let goes = bytes.len() >= self.least_bytes && fits(bytes, offset) && self.is_direct();
        self.direct.as_ref().filter(|_| goes)
    }

    /// Some file systems take the flag and then not the transfer.
    fn refuses(&self, error: &io::Error) -> bool {
        let refuses = error.raw_os_error() == Some(Errno::EINVAL as i32);
        self.is_refused.fetch_or(refuses, Ordering::Relaxed);
        refuses
    }
}

/// The very same file, whatever its name belongs to by now; none where it cannot be opened so.
fn reopen(file: &File, options: &mut OpenOptions) -> Option<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    options.custom_flags(OFlag::O_DIRECT.bits()).open(path).ok()
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "a pattern of bytes is cut to bytes"
)]
mod tests {
    use super::*;
    use crate::BufferPool;

    const PAGE: usize = DIRECT_ALIGNMENT;

    /// (from the start of an aligned buffer, length, offset in the file)
    const PIECES: [(usize, usize, usize); 6] = [
        (0, 2 * PAGE, PAGE),
        (1, 2 * PAGE, 3 * PAGE),
        (0, 2 * PAGE, 2 * PAGE + 7),
        (0, 3 * PAGE + 5, 8 * PAGE),
        (0, 100, 0),
        (0, 64 * PAGE, 5 * PAGE),
    ];

    /// Where direct I/O may be refused there is nothing to compare with.
    fn a_file() -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let file = options.open(folder.path().join("file")).unwrap();
        (folder, file)
    }

    fn check(file: &DirectFile) {
        let mut buffer = BufferPool::new(0).take(64 * PAGE);
        for (index, byte) in buffer.iter_mut().enumerate() {
            *byte = (index % 251) as u8;
        }
        let mut want = Vec::new();
        for (from, length, offset) in PIECES {
            let piece = &buffer[from..from + length];
            file.write_all_at(piece, offset as u64).unwrap();
            want.resize(want.len().max(offset + length), 0);
            want[offset..offset + length].copy_from_slice(piece);
        }
        for (from, length, offset) in PIECES {
            buffer.fill(0xee);
            let piece = &mut buffer[from..from + length];
            file.read_exact_at(piece, offset as u64).unwrap();
            assert!(*piece == want[offset..offset + length], "{offset}");
        }
        let end = want.len() as u64;
        assert_eq!(file.read_at(&mut buffer, end - 10).unwrap(), 10);
        let past = file.read_exact_at(&mut buffer, end - 10).unwrap_err();
        assert_eq!(past.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn pieces_of_any_length_and_place_are_where_they_belong() {
        check(&DirectFile::for_writing(a_file().1));
        check(&DirectFile::for_writing(a_file().1).from_length(3 * PAGE));
        check(&DirectFile::for_writing(a_file().1).cached());
    }

    #[test]
    fn it_says_what_went_through_the_cache() {
        let file = DirectFile::for_writing(a_file().1).from_length(2 * PAGE);
        let buffer = BufferPool::new(0).take(4 * PAGE);
        let through = |from, to| file.write_all_at(&buffer[from..to], 0).unwrap();
        assert_eq!(through(0, PAGE), PAGE);
        assert_eq!(through(1, 3 * PAGE + 1), 3 * PAGE);
        if file.is_direct() {
            assert_eq!(through(0, 2 * PAGE), 0);
            assert_eq!(through(0, 3 * PAGE + 9), 9);
        }
        assert_eq!(file.cached().write_all_at(&buffer, 0).unwrap(), 4 * PAGE);
    }

    #[test]
    fn it_is_the_file_that_was_given_though_its_name_has_gone() {
        let (folder, file) = a_file();
        std::fs::remove_file(folder.path().join("file")).unwrap();
        std::fs::write(folder.path().join("file"), b"another").unwrap();
        check(&DirectFile::for_writing(file));
        let other = std::fs::read(folder.path().join("file")).unwrap();
        assert_eq!(other, b"another");
    }

    #[test]
    fn a_file_that_may_only_be_read_is_read() {
        let (folder, _) = a_file();
        std::fs::write(folder.path().join("file"), [7; 3 * PAGE]).unwrap();
        let file = DirectFile::for_reading(File::open(folder.path().join("file")).unwrap());
        let mut buffer = BufferPool::new(0).take(2 * PAGE);
        file.read_exact_at(&mut buffer, PAGE as u64).unwrap();
        assert!(buffer.iter().all(|byte| *byte == 7));
    }
}
