//! QCOW2 images: written once from front to back, read as chains. No network, no OpenStack.
//!
//! ```text
//! ImageWriter ──append──> ImageSink                 ReadAt <── Chain ──extents, read_at──> restore
//!   one pass, constant memory,                        newest image first; the owner of each
//!   Checkpoint after any cluster                      cluster is found 512 MiB at a time
//! ```
//!
//! An image as we write it (clusters of 64 KiB, version 3, refcounts of 16 bits):
//! ```text
//! | header, backing name | L1 | data ... L2 | data ... L2 | refcount block | ... | refcount table |
//! '------- head: written last -------'  each L2 after the last cluster of its 512 MiB
//! ```
//! Data clusters may be compressed: [`Compressor`]s on any number of threads make payloads of them, one
//! writer packs those byte by byte into chunks of up to 2 MiB and gives each chunk a place among the
//! other clusters. Threads that read have a [`Decompressor`] each and share the [`Chain`].
//!
//! What has no head yet is no image, so a crash never leaves half of one that looks whole. The judge
//! of the format is `qemu-img`, not our own reader alone.

mod aligned;
mod chain;
mod compression;
mod geometry;
mod header;
mod merge;
mod read_at;
mod sink;
mod update;
mod writer;

pub use chain::{Chain, ChainImage, Extent, ExtentKind, Extents, Image, ReadError};
pub use compression::{CompressError, Compressor, Decompressor};
pub use geometry::{CLUSTER_BYTES, SECTOR_BYTES};
pub use header::{CompressionType, Header, HeaderError};
pub use merge::{
    ComposedImage, CopyingSink, MergeComposition, MergeError, MergePair, MergeSource, MergedImage,
    PreparedMerge, Watch, prepare_merge, reclaim_unused, write_merged,
};
pub use read_at::ReadAt;
pub use sink::{FileSink, ImageSink, SinkStream};
pub use update::ImageUpdate;
pub use writer::{
    Backing, BackingFormat, Checkpoint, Compression, Counters, ImageOptions, ImageSummary,
    ImageWriter, WriteError,
};
