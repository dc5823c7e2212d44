//! The capabilities of a disk, seen by the data mover: read it, learn what is in it, write it.
//!
//! They are separate on purpose: hash comparison needs only [`ReadDisk`], a plan only [`MapDisk`],
//! a restore only [`WriteDisk`]. Real disks implement what they can.

use crate::{BlocksError, Chunk, Extent, ReadPlan};

/// Extents in ascending order, not empty, not overlapping, within the disk. It may still fail at its
/// very end (a tool's exit status comes last): what was built from it is worth nothing before the
/// stream answered `None`. After an error it answers `None`.
pub type ExtentStream<'a> = Box<dyn Iterator<Item = Result<Extent, BlocksError>> + Send + 'a>;

/// Chunks in guest order. After an error it answers `None`; it may be dropped at any moment.
pub type ChunkStream<'a> = Box<dyn Iterator<Item = Result<Chunk, BlocksError>> + Send + 'a>;

/// A disk whose bytes can be read; they do not change while it is open.
pub trait ReadDisk: Send + Sync {
    /// The size the guest sees.
    fn size_bytes(&self) -> u64;

    /// Opens a reader of its own; several may read side by side, each on its thread.
    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError>;
}

/// Reads in guest order with several requests in flight.
pub trait DiskReader: Send {
    /// Yields the bytes of the extents, in their order, cut at multiples of `plan.chunk_bytes`:
    /// [`Chunk::Data`] for what was read, [`Chunk::Zero`] (of any length) for zero extents and for
    /// what the storage itself calls a hole. Memory in use: `chunk_bytes` times `window`, plus the
    /// chunk handed out.
    fn read<'a>(&'a mut self, extents: ExtentStream<'a>, plan: ReadPlan) -> ChunkStream<'a>;
}

/// A disk that knows which of its ranges are worth reading.
pub trait MapDisk: Send + Sync {
    /// What a full backup reads. Ranges that are not mentioned read as zeroes.
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError>;

    /// What changed since `point` (a snapshot or a checkpoint, by the name its storage knows):
    /// [`Data`](crate::ExtentKind::Data) holds new bytes, [`Zero`](crate::ExtentKind::Zero) was
    /// discarded or zeroed, what is not mentioned is as it was.
    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError>;
}

/// The answer to "what changed since".
pub enum Changes<'a> {
    /// Exactly these extents.
    Known(ExtentStream<'a>),
    /// It cannot be told (no such point any more, no tracking): read everything and compare hashes.
    Unknown {
        /// Why, in words for the snapshot's warning.
        reason: String,
    },
}

/// Everything a backup needs of a disk.
pub trait DiskSource: ReadDisk + MapDisk {}

impl<T: ReadDisk + MapDisk + ?Sized> DiskSource for T {}

/// A disk that bytes can be written to.
pub trait WriteDisk: Send + Sync {
    /// The size the guest will see.
    fn size_bytes(&self) -> u64;

    /// Gets the space for what will be written to a range, where the storage has a way to; its bytes
    /// stay as they are. Too little of it shows here and not halfway, and sinks need not wait for
    /// each other's allocations.
    fn reserve(&self, _offset: u64, _length: u64) -> Result<(), BlocksError> {
        Ok(())
    }

    /// Opens a sink of its own; several may write disjoint ranges side by side, each on its thread.
    fn open_sink(&self) -> Result<Box<dyn DiskSink>, BlocksError>;
}

/// Writes with several requests in flight.
pub trait DiskSink: Send {
    /// The size the guest will see.
    fn size_bytes(&self) -> u64;

    /// Takes the bytes over. A failure may be reported by a later call; [`DiskSink::flush`] reports
    /// it at the latest. Writes take effect in the order of the calls where they overlap.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BlocksError>;

    /// Makes a range read as zeroes, freeing its space where the storage can. Else as `write_at`.
    fn zero_at(&mut self, offset: u64, length: u64) -> Result<(), BlocksError>;

    /// Returns when all that this sink took over is on stable storage. Without it nothing is.
    fn flush(&mut self) -> Result<(), BlocksError>;
}
