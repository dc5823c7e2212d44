//! Changing a finished image in place.

use std::io;
use std::ops::Range;

/// A stored image that is changed where it lies.
///
/// What was written is seen by readers at once or at the next [`sync`](Self::sync), and survives a
/// power failure only after it: before, any part of it may be lost, in any order, but a write of 512
/// aligned bytes is never torn. One update of an image at a time; who that is decides the caller.
pub trait ImageUpdate: Send {
    /// Fills all of `buffer` from `offset`, or fails; past the end with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes`, or fails. Past the end the image grows; a gap reads as zeroes.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when everything written, punched and cut so far would survive a power failure.
    fn sync(&mut self) -> io::Result<()>;

    /// Gives the space of `range` back, whose bytes are then anything. Where that is not possible,
    /// nothing happens: it is no error.
    fn punch(&mut self, range: Range<u64>) -> io::Result<()>;

    /// Ends the image after `length` bytes, if it is longer.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// The length as it is now.
    fn size_bytes(&self) -> u64;
}

impl<T: ImageUpdate + ?Sized> ImageUpdate for Box<T> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }

    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (**self).write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn punch(&mut self, range: Range<u64>) -> io::Result<()> {
        (**self).punch(range)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        (**self).cut(length)
    }

    fn size_bytes(&self) -> u64 {
        (**self).size_bytes()
    }
}
