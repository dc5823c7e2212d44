//! A small NBD server, read-only: what `qemu-img`, `nbdcopy` or a mount need to look into a disk.
//!
//! Fixed newstyle without TLS, on a unix socket or over TCP, any number of connections up to a bound.
//! A thread each, which works on one request at a time; a client that wants more at once opens several
//! connections, as all of the above do. The client is not trusted: what it says is bounded before
//! memory is taken, reads are answered in pieces, and one that does not come to the point is cut off.
//!
//! | file | |
//! |---|---|
//! | `listener` | accepting, until it is dropped |
//! | `options` | the handshake |
//! | `session` | requests and answers |

mod listener;
mod options;
mod session;

use std::io::{Read, Write};

pub use listener::{Listening, serve};

/// What is served.
pub trait ServedDisk: Send + Sync {
    /// Its size, not necessarily whole sectors.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` from `offset`; both were checked to be within the disk.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()>;

    /// What lies from `offset` on, for at most `length` bytes: how far it is the same, at least a byte,
    /// and whether that reads as zeroes.
    fn extent_at(&self, offset: u64, length: u64) -> std::io::Result<(u64, bool)>;
}

/// Speaks with one client, whatever it sends, until it ends or cannot be understood. For fuzzing, too.
pub fn converse(
    disk: &dyn ServedDisk,
    export: &str,
    reader: &mut dyn Read,
    writer: &mut dyn Write,
) -> std::io::Result<()> {
    match options::negotiate(disk.size_bytes(), export, reader, writer)? {
        Some(agreed) => session::run(disk, agreed, reader, writer),
        None => Ok(()),
    }
}
