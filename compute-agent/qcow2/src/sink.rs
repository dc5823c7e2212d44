//! Where an image is written to: append only, its first bytes last.

mod file;

use std::io;

pub use file::FileSink;

/// A new object that grows at its end and gets its beginning in the last step.
///
/// Fits a file (the head is written at offset 0 after all else is on stable storage) and an S3
/// multipart upload (the head is part 1, sent last). After an error the sink is in an unknown state:
/// drop it, and open it again at the length of the last checkpoint. Dropping a sink never publishes.
pub trait ImageSink: Send {
    /// The smallest head that can be sent by itself: 0 for a file, 5 MiB for an S3 part. The writer
    /// fills its head up to it with bytes that nothing refers to.
    fn head_minimum_bytes(&self) -> u64 {
        0
    }

    /// Leaves the first `length` bytes to [`finish`](Self::finish). Once, before the first append,
    /// and not again on a resumed sink.
    fn reserve_head(&mut self, length: u64) -> io::Result<()>;

    /// Adds `bytes` at [`position`](Self::position): all of them, or an error.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// The offset in the finished object at which the next byte will lie, the head counted.
    fn position(&self) -> u64;

    /// Returns when everything appended so far would survive a power failure, so that the sink
    /// can be reopened at this position.
    fn sync(&mut self) -> io::Result<()>;

    /// Makes the appended bytes durable, then puts `head` at offset 0 (exactly the reserved length),
    /// makes that durable and publishes the object. Nothing may be called afterwards.
    fn finish(&mut self, head: &[u8]) -> io::Result<()>;
}

impl<T: ImageSink + ?Sized> ImageSink for Box<T> {
    fn head_minimum_bytes(&self) -> u64 {
        (**self).head_minimum_bytes()
    }

    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        (**self).reserve_head(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).append(bytes)
    }

    fn position(&self) -> u64 {
        (**self).position()
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn finish(&mut self, head: &[u8]) -> io::Result<()> {
        (**self).finish(head)
    }
}

/// A sink without a head, as a plain stream: for the index beside an image.
///
/// `flush` does not make anything durable, [`ImageSink::sync`] of `sink` does.
#[derive(Debug)]
pub struct SinkStream<S> {
    /// The sink underneath; finish it with an empty head.
    pub sink: S,
}

impl<S: ImageSink> io::Write for SinkStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
