//! A sink that is a file.
//!
//! Whole clusters go past the page cache where that can be. What goes through it is written back early, by a
//! thread of its own.

use std::fs::File;
use std::io;
use std::thread::JoinHandle;

use agent_direct_io::DirectFile;

use super::ImageSink;

/// Written back as soon as so much has gathered in the page cache.
const EARLY_BYTES: u64 = 64 << 20;

/// A sink that is a file. It has no other name while it is unfinished: hiding and renaming it is
/// for who opens it.
#[derive(Debug)]
pub struct FileSink {
    file: DirectFile,
    position: u64,
    cached_bytes: u64,
    writeback: Option<JoinHandle<io::Result<()>>>,
}

impl FileSink {
    /// Begins anew: what `file` held is gone.
    pub fn create(file: File) -> io::Result<Self> {
        file.set_len(0)?;
        Ok(Self::at(file, 0))
    }

    /// Goes on at `length`: what lies behind it is cut off. A shorter file is `UnexpectedEof`, since
    /// it cannot have been synced at that length.
    pub fn resume(file: File, length: u64) -> io::Result<Self> {
        if file.metadata()?.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(length)?;
        Ok(Self::at(file, length))
    }

    fn at(file: File, position: u64) -> Self {
        Self {
            file: DirectFile::for_writing(file),
            position,
            cached_bytes: 0,
            writeback: None,
        }
    }

    fn write_back_early(&mut self) -> io::Result<()> {
        let is_busy = self.writeback.as_ref().is_some_and(|w| !w.is_finished());
        if self.cached_bytes < EARLY_BYTES || is_busy {
            return Ok(());
        }
        self.wait_for_writeback()?;
        let file = self.file.file().try_clone()?;
        self.writeback = Some(std::thread::spawn(move || file.sync_data()));
        self.cached_bytes = 0;
        Ok(())
    }

    /// The kernel tells of a failed write once: who asked early must hand it on.
    fn wait_for_writeback(&mut self) -> io::Result<()> {
        match self.writeback.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("writing back ended without a word")),
        }
    }
}

impl ImageSink for FileSink {
    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        // A hole, so that a resumed file is never shorter than its checkpoint.
        self.file.file().set_len(length)?;
        self.position = length;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cached_bytes += self.file.write_all_at(bytes, self.position)? as u64;
        self.position += bytes.len() as u64;
        self.write_back_early()
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn sync(&mut self) -> io::Result<()> {
        self.wait_for_writeback()?;
        self.cached_bytes = 0;
        self.file.file().sync_all()
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        self.sync()?;
        if head.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(head, 0)?;
        self.file.file().sync_all()
    }
}

#[cfg(test)]
mod tests {
    use agent_direct_io::DIRECT_ALIGNMENT;

    use super::*;

    /// Aligned bytes and others, in turns.
    #[test]
    fn pieces_of_any_alignment_are_in_the_file_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let memory: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let start = memory.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let mut want = vec![9; 8192];
        let mut sink = FileSink::create(File::create_new(&path).unwrap()).unwrap();
        sink.reserve_head(8192).unwrap();
        let pieces = [
            (start, 65536),
            (start, 4096),
            (start + 1, 4096),
            (start, 100),
            (start, 65536),
            (7, 3996),
            (start + 4096, 131_072),
        ];
        for (from, length) in pieces {
            let piece = &memory[from..from + length];
            sink.append(piece).unwrap();
            want.extend(piece);
            assert_eq!(sink.position(), want.len() as u64);
        }
        sink.sync().unwrap();
        sink.finish(&[9; 8192]).unwrap();
        assert!(std::fs::read(&path).unwrap() == want);
    }

    #[test]
    fn what_goes_through_the_cache_is_written_back_on_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let mut sink = FileSink::create(File::create_new(&path).unwrap()).unwrap();
        sink.file = sink.file.cached();
        let piece = vec![3; 8 << 20];
        for _ in 0..9 {
            sink.append(&piece).unwrap();
        }
        assert!(sink.writeback.is_some());
        sink.finish(&[]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 72 << 20);
    }
}
