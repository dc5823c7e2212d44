//! Memory for bytes on their way: aligned as direct I/O wants it, and used again.
//!
//! What was read into a buffer is hashed, compressed and written from it without a copy. Buffers of a
//! pool go back to it when they are dropped: fresh memory costs a page fault for every 4 KiB. Large ones lie
//! in huge pages where the host has them, or direct I/O spends most of its time on counting pages.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use memmap2::{Advice, MmapMut};

use crate::DIRECT_ALIGNMENT;

/// From so many bytes on, a huge page is not wasted on a buffer.
const LARGE_BYTES: usize = 1 << 20;
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Bytes in memory of their own; those of a pool begin at a multiple of [`DIRECT_ALIGNMENT`].
pub struct Buffer {
    storage: Storage,
    start: usize,
    end: usize,
    shelf: Option<Arc<Shelf>>,
}

enum Storage {
    Plain(Vec<u8>),
    Mapped(MmapMut),
}

impl Storage {
    /// Memory with so many aligned bytes in it, all zero.
    fn new(length: usize) -> Self {
        if length >= LARGE_BYTES {
            // What of the mapping is never touched costs nothing.
            let length = length.next_multiple_of(HUGE_PAGE_BYTES) + HUGE_PAGE_BYTES;
            if let Ok(mapped) = MmapMut::map_anon(length) {
                // A host without huge pages does without.
                let _no_matter = mapped.advise(Advice::HugePage);
                return Self::Mapped(mapped);
            }
        }
        Self::Plain(vec![0; length + DIRECT_ALIGNMENT])
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }

    /// Where the aligned bytes begin.
    fn start(&self) -> usize {
        let alignment = match self {
            Self::Plain(_) => DIRECT_ALIGNMENT,
            Self::Mapped(_) => HUGE_PAGE_BYTES,
        };
        let start = self.bytes().as_ptr().align_offset(alignment);
        start.min(alignment)
    }

    /// How many aligned bytes there are.
    fn room(&self) -> usize {
        self.bytes().len()
            - match self {
                Self::Plain(_) => DIRECT_ALIGNMENT,
                Self::Mapped(_) => HUGE_PAGE_BYTES,
            }
    }
}

impl Buffer {
    fn of(storage: Storage, length: usize, shelf: Arc<Shelf>) -> Self {
        let start = storage.start();
        Self {
            storage,
            start,
            end: start + length,
            shelf: Some(shelf),
        }
    }

    /// Drops all behind the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start.saturating_add(length));
    }

    /// Drops the first `length` bytes.
    pub fn advance(&mut self, length: usize) {
        self.start = self.end.min(self.start.saturating_add(length));
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.storage
            .bytes()
            .get(self.start..self.end)
            .unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.storage
            .bytes_mut()
            .get_mut(self.start..self.end)
            .unwrap_or_default()
    }
}

impl From<Vec<u8>> for Buffer {
    /// Without a copy, so wherever the bytes are.
    fn from(storage: Vec<u8>) -> Self {
        let end = storage.len();
        Self {
            storage: Storage::Plain(storage),
            start: 0,
            end,
            shelf: None,
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        self.to_vec().into()
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = self.iter().take(8).collect::<Vec<_>>();
        write!(f, "{} bytes {begins:?}...", self.len())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.take() {
            let none = Storage::Plain(Vec::new());
            shelf.put(std::mem::replace(&mut self.storage, none));
        }
    }
}

/// Buffers to be used again; clones share them.
#[derive(Clone)]
pub struct BufferPool(Arc<Shelf>);

struct Shelf {
    keep_bytes: usize,
    free: Mutex<Vec<Storage>>,
}

impl BufferPool {
    /// At most `keep_bytes` of memory wait to be used again; how much is in use at a time is for who
    /// takes it.
    pub fn new(keep_bytes: usize) -> Self {
        let free = Mutex::default();
        Self(Arc::new(Shelf { keep_bytes, free }))
    }

    /// A buffer of this length, aligned. It holds whatever its memory was used for before.
    pub fn take(&self, length: usize) -> Buffer {
        // Few sizes, so that what was dropped fits again.
        let wanted = match length.next_power_of_two().max(1 << 16) {
            LARGE_BYTES => HUGE_PAGE_BYTES,
            wanted => wanted,
        };
        let storage = self.0.take(wanted).unwrap_or_else(|| Storage::new(wanted));
        Buffer::of(storage, length, self.0.clone())
    }
}

impl Shelf {
    fn take(&self, wanted: usize) -> Option<Storage> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = free.iter().rposition(|storage| storage.room() == wanted)?;
        Some(free.swap_remove(fitting))
    }

    fn put(&self, storage: Storage) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(storage);
        let mut kept: usize = free.iter().map(Storage::room).sum();
        while kept > self.keep_bytes && !free.is_empty() {
            // The oldest is of a size that nobody asks for any more.
            kept -= free.remove(0).room();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_a_pool_is_aligned_and_its_memory_is_used_again() {
        let pool = BufferPool::new(1 << 20);
        let mut buffer = pool.take(100_000);
        assert_eq!(buffer.len(), 100_000);
        assert_eq!(buffer.as_ptr().align_offset(DIRECT_ALIGNMENT), 0);
        buffer.fill(7);
        let address = buffer.as_ptr();
        drop(buffer);
        let again = pool.take(120_000);
        assert_eq!(again.as_ptr(), address);
        assert_ne!(pool.take(120_000).as_ptr(), address);
    }

    #[test]
    fn a_large_buffer_is_aligned_to_huge_pages_and_used_again_for_a_smaller_one() {
        let pool = BufferPool::new(8 << 20);
        for length in [1 << 20, (2 << 20) - 1, 2 << 20, (2 << 20) + 1] {
            let mut buffer = pool.take(length);
            buffer.fill(1);
            assert_eq!(buffer.len(), length);
            assert_eq!(buffer.as_ptr().align_offset(HUGE_PAGE_BYTES), 0);
        }
        let address = pool.take(2 << 20).as_ptr();
        assert_eq!(pool.take(1 << 20).as_ptr(), address);
    }

    #[test]
    fn a_pool_keeps_no_more_than_it_may() {
        let pool = BufferPool::new(300_000);
        let buffers: Vec<_> = (0..10).map(|n| pool.take((n % 3 + 1) << 15)).collect();
        drop(buffers);
        let kept: usize = pool.0.free.lock().unwrap().iter().map(Storage::room).sum();
        assert!(kept > 0 && kept <= 300_000, "{kept}");
    }

    #[test]
    fn what_is_cut_off_is_gone_at_both_ends() {
        let mut buffer = Buffer::from((0..10).collect::<Vec<u8>>());
        buffer.advance(2);
        buffer.truncate(3);
        assert_eq!(buffer[..], [2, 3, 4]);
        assert_eq!(buffer.clone(), buffer);
        buffer.advance(9);
        assert!(buffer.is_empty());
    }
}
