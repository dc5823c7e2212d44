//! Images: written under a hidden name beside the final one, renamed when whole.

use std::io;
use std::os::unix::fs::MetadataExt;

use agent_direct_io::DirectFile;
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

/// Tables and other small things may well be in the page cache.
const LARGE_BYTES: usize = 256 << 10;

/// Reads an object; large pieces past the page cache.
pub(super) struct Reader {
    file: DirectFile,
    size_bytes: u64,
    name: ObjectName,
}

impl Reader {
    pub(super) fn open(folder: &Folder, file: &str, name: &ObjectName) -> io::Result<Self> {
        let (file, size_bytes) = folder.open_file(file)?;
        Ok(Self {
            file: DirectFile::for_reading(file).from_length(LARGE_BYTES),
            size_bytes,
            name: name.clone(),
        })
    }
}

impl ReadAt for Reader {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        let read = match end.filter(|end| *end <= self.size_bytes) {
            Some(_) => self.file.read_exact_at(buffer, offset),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(|error| annotated("read", self.name.as_str(), error))
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}
