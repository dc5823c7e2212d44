//! Files read and written past the page cache, where the file system takes it: half the CPU time, and
//! the host's cache stays with who needs it. Everywhere else the same calls go through the cache.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise},
};

use crate::buffer::DIRECT_ALIGNMENT;

/// A file opened twice: a transfer that is not aligned, or that the file system refuses, goes through
/// the cache. The kernel keeps both views the same.
#[derive(Debug)]
pub(crate) struct DirectFile {
    cached: File,
    direct: Option<File>,
    is_refused: AtomicBool,
}

impl DirectFile {
    pub(crate) fn open(path: &Path, is_written: bool) -> io::Result<Self> {
        let options = || {
            let mut options = OpenOptions::new();
            options.read(true).write(is_written);
            options
        };
        let cached = options().open(path)?;
        let direct = options()
            .custom_flags(OFlag::O_DIRECT.bits())
            .open(path)
            .ok();
        if direct.is_none() {
            // A hint only.
            let _no_matter =
                posix_fadvise(&cached, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
        }
        Ok(Self {
            cached,
            direct,
            is_refused: AtomicBool::new(false),
        })
    }

    /// The file, for what is no transfer.
    pub(crate) fn file(&self) -> &File {
        &self.cached
    }

    /// Fills the buffer up to the file's end; says how much that was.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            let read = match self.direct_for(rest, at) {
                Some(direct) => match direct.read_at(rest, at) {
                    Err(error) if self.refuses(&error) => continue,
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

    /// Writes all of it.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let whole = bytes.len() - bytes.len() % DIRECT_ALIGNMENT;
        let (whole, rest) = bytes.split_at(whole);
        let rest_offset = offset + whole.len() as u64;
        match self.direct_for(whole, offset) {
            Some(direct) => match direct.write_all_at(whole, offset) {
                Err(error) if self.refuses(&error) => self.cached.write_all_at(whole, offset)?,
                written => written?,
            },
            None => self.cached.write_all_at(whole, offset)?,
        }
        self.cached.write_all_at(rest, rest_offset)
    }

    fn direct_for(&self, bytes: &[u8], offset: u64) -> Option<&File> {
        let fits = bytes.as_ptr().align_offset(DIRECT_ALIGNMENT) == 0
            && bytes.len().is_multiple_of(DIRECT_ALIGNMENT)
            && offset.is_multiple_of(DIRECT_ALIGNMENT as u64);
        let is_refused = self.is_refused.load(Ordering::Relaxed);
        self.direct.as_ref().filter(|_| fits && !is_refused)
    }

    /// Some file systems take the flag and then not the transfer.
    fn refuses(&self, error: &io::Error) -> bool {
        let refuses = error.raw_os_error() == Some(Errno::EINVAL as i32);
        self.is_refused.fetch_or(refuses, Ordering::Relaxed);
        refuses
    }
}
