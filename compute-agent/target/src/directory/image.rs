//! Images: written under a hidden name beside the final one, renamed when whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};

use agent_format::ObjectName;
use agent_qcow2::{FileSink, ImageSink, ReadAt};

use super::folder::Folder;
use crate::error::annotated;

/// The name of an unfinished image.
pub(super) fn partial_name(file: &str) -> String {
    format!(".{file}.partial")
}

/// Writes an image.
pub(super) struct Sink {
    folder: Folder,
    inode: u64,
    sink: FileSink,
    file: String,
    name: ObjectName,
}

impl Sink {
    pub(super) fn create(folder: Folder, file: &str, name: &ObjectName) -> io::Result<Self> {
        // A new file, never the old one cut to nothing: a writer that was forgotten keeps its own.
        let partial = partial_name(file);
        folder.remove_file(&partial)?;
        let created = folder.create_file(&partial)?;
        folder.sync()?;
        let inode = created.metadata()?.ino();
        let sink = FileSink::create(created)?;
        Ok(Self {
            folder,
            inode,
            sink,
            file: file.to_owned(),
            name: name.clone(),
        })
    }

    pub(super) fn resume(
        folder: Folder,
        file: &str,
        name: &ObjectName,
        length: u64,
    ) -> io::Result<Self> {
        let reopened = folder.reopen_file(&partial_name(file))?;
        let inode = reopened.metadata()?.ino();
        let sink = FileSink::resume(reopened, length)?;
        Ok(Self {
            folder,
            inode,
            sink,
            file: file.to_owned(),
            name: name.clone(),
        })
    }

    fn publish(&mut self, head: &[u8]) -> io::Result<()> {
        self.sink.finish(head)?;
        let partial = partial_name(&self.file);
        // If another writer began anew, that name is no longer our file.
        match self.folder.stat(&partial)? {
            Some(entry) if entry.inode == self.inode => self.folder.publish(&partial, &self.file),
            _ => Err(io::Error::other("another writer has taken its place")),
        }
    }

    fn annotate<T>(&self, operation: &'static str, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| annotated(operation, self.name.as_str(), error))
    }
}

impl ImageSink for Sink {
    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        let result = self.sink.reserve_head(length);
        self.annotate("begin image", result)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.sink.append(bytes);
        self.annotate("write image", result)
    }

    fn position(&self) -> u64 {
        self.sink.position()
    }

    fn sync(&mut self) -> io::Result<()> {
        let result = self.sink.sync();
        self.annotate("flush image", result)
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        let result = self.publish(head);
        self.annotate("complete image", result)
    }
}

/// What direct I/O wants of addresses, offsets and lengths.
const ALIGNMENT: usize = 4096;
/// Tables and other small things may well be in the page cache.
const LARGE_BYTES: usize = 256 << 10;

/// Reads an object; large pieces that are aligned past the page cache, where the file system takes it.
pub(super) struct Reader {
    file: (File, u64),
    direct: Option<File>,
    is_refused: AtomicBool,
    name: ObjectName,
}

impl Reader {
    pub(super) fn open(folder: &Folder, file: &str, name: &ObjectName) -> io::Result<Self> {
        let opened = folder.open_file(file)?;
        let direct = folder.open_direct(file, &opened.0);
        Ok(Self {
            file: opened,
            direct,
            is_refused: AtomicBool::new(false),
            name: name.clone(),
        })
    }

    /// False where it cannot be: the other way tells what is wrong.
    fn read_direct(&self, buffer: &mut [u8], offset: u64) -> bool {
        let fits = buffer.len() >= LARGE_BYTES
            && buffer.as_ptr().align_offset(ALIGNMENT) == 0
            && buffer.len().is_multiple_of(ALIGNMENT)
            && offset.is_multiple_of(ALIGNMENT as u64);
        let is_refused = self.is_refused.load(Ordering::Relaxed);
        let Some(direct) = self.direct.as_ref().filter(|_| fits && !is_refused) else {
            return false;
        };
        let is_read = FileExt::read_exact_at(direct, buffer, offset).is_ok();
        self.is_refused.fetch_or(!is_read, Ordering::Relaxed);
        is_read
    }
}

impl ReadAt for Reader {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_direct(buffer, offset) {
            return Ok(());
        }
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|error| annotated("read", self.name.as_str(), error))
    }

    fn size_bytes(&self) -> u64 {
        self.file.size_bytes()
    }
}
