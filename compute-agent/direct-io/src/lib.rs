//! Bytes past the page cache: files that are read and written so, and memory that fits.
//!
//! It halves the CPU time of a transfer, the last flush has nothing left to wait for, and the host's
//! cache stays with who needs it. Where a file system or a piece does not allow it, the same calls go
//! through the cache.

mod buffer;
mod file;

pub use buffer::{Buffer, BufferPool};
pub use file::DirectFile;

/// What direct I/O wants of addresses, offsets and lengths, on every device we know.
pub const DIRECT_ALIGNMENT: usize = 4096;

/// Whether direct I/O takes these bytes at this offset of a file.
fn fits(bytes: &[u8], offset: u64) -> bool {
    bytes.as_ptr().align_offset(DIRECT_ALIGNMENT) == 0
        && bytes.len().is_multiple_of(DIRECT_ALIGNMENT)
        && offset.is_multiple_of(DIRECT_ALIGNMENT as u64)
}
