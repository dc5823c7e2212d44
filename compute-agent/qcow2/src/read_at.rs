//! Reading a stored object at any offset.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// An immutable sequence of bytes that many threads read at once.
pub trait ReadAt: Send + Sync {
    /// Fills all of `buffer` from `offset`, or fails; past the end with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The length, fixed while the object is open.
    fn size_bytes(&self) -> u64;
}

/// A file together with the length it had when it was opened.
impl ReadAt for (File, u64) {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        // Offsets that the system has no number for get the same answer as others past the end.
        if offset
            .checked_add(buffer.len() as u64)
            .is_none_or(|end| end > self.1)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.read_exact_at(buffer, offset)
    }

    fn size_bytes(&self) -> u64 {
        self.1
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let from = usize::try_from(offset).map_err(|_| end())?;
        let wanted = self
            .get(from..)
            .and_then(|rest| rest.get(..buffer.len()))
            .ok_or_else(end)?;
        buffer.copy_from_slice(wanted);
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Box<T> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }

    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }

    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }
}
