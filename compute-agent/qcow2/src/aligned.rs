//! A buffer that begins where direct I/O wants it.

use std::fmt;

use agent_direct_io::DIRECT_ALIGNMENT;

/// Bytes whose first lies at a multiple of [`DIRECT_ALIGNMENT`] in memory, as long as they are no more than there is
/// room for.
pub(crate) struct AlignedBuffer {
    /// Filling up to the aligned place, then the bytes.
    memory: Vec<u8>,
    start: usize,
    capacity: usize,
}

impl AlignedBuffer {
    pub(crate) fn new(capacity: usize) -> Self {
        let mut memory: Vec<u8> = Vec::with_capacity(capacity + DIRECT_ALIGNMENT);
        let start = memory
            .as_ptr()
            .align_offset(DIRECT_ALIGNMENT)
            .min(DIRECT_ALIGNMENT);
        memory.resize(start, 0);
        Self {
            memory,
            start,
            capacity,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.memory.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.len())
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.memory.extend_from_slice(bytes);
    }

    pub(crate) fn push_zeroes(&mut self, count: usize) {
        self.memory.resize(self.memory.len() + count, 0);
    }

    pub(crate) fn clear(&mut self) {
        self.memory.truncate(self.start);
    }

    /// Keeps the bytes from `from` on.
    pub(crate) fn drop_before(&mut self, from: usize) {
        let end = (self.start + from).min(self.memory.len());
        self.memory.drain(self.start..end);
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuffer")
            .field("length", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_in_order_at_an_aligned_place() {
        let mut buffer = AlignedBuffer::new(8192);
        buffer.push(b"abc");
        buffer.push_zeroes(2);
        buffer.push(b"d");
        assert_eq!(buffer.bytes(), b"abc\0\0d");
        buffer.drop_before(2);
        assert_eq!((buffer.bytes(), buffer.room()), (&b"c\0\0d"[..], 8188));
        buffer.push(&[7; 8188]);
        assert_eq!((buffer.room(), buffer.len()), (0, 8192));
        assert_eq!(buffer.bytes().as_ptr().align_offset(DIRECT_ALIGNMENT), 0);
        buffer.clear();
        assert!(buffer.is_empty());
    }
}
