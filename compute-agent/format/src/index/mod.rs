//! `<image>.index`: a checksum for every cluster that an image holds.
//!
//! It verifies a restore, and tells what changed when the source cannot. It holds nothing of the
//! image's ancestors: a chain is read as a merge of sorted lists.
//!
//! All numbers are little-endian.
//! ```text
//! header   8 magic "BKSTYIDX" | 4 version | 4 cluster size | 8 disk size in bytes
//!          | 1 hash algorithm | 1 keyed | 6 zero                                    32 bytes
//! block    4 count, 1..=4096 | count x record | 32 digest
//! record   8 guest cluster | 1 kind: 0 data, 1 zero | 32 digest (zeroes for kind 1)
//! trailer  4 zero | 8 records in all | 32 digest
//! ```
//! Guest clusters ascend strictly. Each digest is BLAKE3 over the digest before it and the bytes
//! since (the first one: over the header), so that the trailer's covers the whole file, damage is
//! found before a block's records are used, and a writer continues from its last 32 bytes of state.

mod block;
mod checkpoint;
mod error;
mod header;
mod merge;
mod reader;
mod record;
mod writer;

pub use block::IndexBlocks;
pub use checkpoint::IndexCheckpoint;
pub use error::{IndexReadError, IndexWriteError};
pub use header::IndexHeader;
pub use merge::{IndexBoundary, IndexMerge, IndexMergeError, MergedRecords};
pub use reader::IndexReader;
pub use record::{ClusterContent, IndexRecord};
pub use writer::{IndexSummary, IndexWriter};

/// Most records in a block: what a reader and a writer keep in memory is this times 41 bytes.
const RECORDS_PER_BLOCK: usize = 4096;
