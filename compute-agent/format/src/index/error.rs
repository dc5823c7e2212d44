//! What can be wrong with an index.

use std::io;

/// Why an index cannot be written further.
#[derive(Debug, thiserror::Error)]
pub enum IndexWriteError {
    /// Records must come in strictly ascending order.
    #[error("cluster {cluster} comes after cluster {previous} in an index")]
    OutOfOrder {
        /// The refused cluster.
        cluster: u64,
        /// The last accepted one.
        previous: u64,
    },
    /// The disk ends before that cluster.
    #[error("cluster {cluster} is past the end of a disk of {clusters} clusters")]
    PastTheEnd {
        /// The refused cluster.
        cluster: u64,
        /// The disk's clusters.
        clusters: u64,
    },
    /// The checkpoint cannot belong to this index.
    #[error("the checkpoint does not belong to this index")]
    ForeignCheckpoint,
    /// The underlying stream failed.
    #[error("cannot write index")]
    Io(#[source] io::Error),
}

/// Why an index cannot be read further. Offsets are bytes from its beginning.
#[derive(Debug, thiserror::Error)]
pub enum IndexReadError {
    /// It does not begin like an index.
    #[error("not an index: wrong magic at offset 0")]
    BadMagic,
    /// It was written by another version of this program.
    #[error("index has version {version}, this program reads version 1 only")]
    UnknownVersion {
        /// The version found.
        version: u32,
    },
    /// A field of the header has no valid meaning.
    #[error("damaged index header: {0}")]
    BadHeader(&'static str),
    /// It ends too early.
    #[error("index ends at offset {offset}, in the middle of its records")]
    Truncated {
        /// Where the missing piece begins.
        offset: u64,
    },
    /// A block's bytes are not those that were written.
    #[error("index is damaged: wrong digest of the block at offset {offset}")]
    BadDigest {
        /// Where the block begins.
        offset: u64,
    },
    /// A block says that it has more records than a block can have.
    #[error("index is damaged: impossible count at offset {offset}")]
    BadCount {
        /// Where the block begins.
        offset: u64,
    },
    /// A record has no valid meaning.
    #[error("index is damaged: invalid record at offset {offset}")]
    BadRecord {
        /// Where the record begins.
        offset: u64,
    },
    /// Records do not ascend.
    #[error("index is damaged: cluster {cluster} is out of order at offset {offset}")]
    OutOfOrder {
        /// Where the record begins.
        offset: u64,
        /// The cluster found.
        cluster: u64,
    },
    /// The trailer counts other records than there are.
    #[error("index is damaged: trailer at offset {offset} counts {counted} records of {found}")]
    WrongTotal {
        /// Where the trailer begins.
        offset: u64,
        /// What it says.
        counted: u64,
        /// What was read.
        found: u64,
    },
    /// Something follows the trailer.
    #[error("index is damaged: bytes after its end at offset {offset}")]
    TrailingBytes {
        /// Where they begin.
        offset: u64,
    },
    /// The underlying stream failed.
    #[error("cannot read index at offset {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}
