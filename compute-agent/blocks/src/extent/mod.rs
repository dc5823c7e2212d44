//! Ranges of a disk and their arithmetic: pure, streaming, in constant memory.
//!
//! The adapters take any iterator of `Result<Extent, E>` in ascending order and pass errors on.
//!
//! | adapter | gives |
//! |---|---|
//! | [`merge`] | touching neighbours of one kind as one extent |
//! | [`clip`] | only what lies within a range |
//! | [`subtract`] | what remains without some ranges |
//! | [`to_clusters`] | whole clusters, `Zero` only where all of the cluster is zero |

mod clip;
mod clusters;
mod merge;
mod subtract;

use std::fmt;

pub use clip::{Clip, Clipped, clip};
pub use clusters::{Clusters, to_clusters};
pub use merge::{Merge, merge};
pub use subtract::{Subtract, subtract};

/// What a range holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtentKind {
    /// Bytes that have to be read.
    Data,
    /// Reads as zeroes, known without reading.
    Zero,
}

/// A range of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// First byte.
    pub offset: u64,
    /// Bytes; never 0 in a stream.
    pub length: u64,
    /// What is there.
    pub kind: ExtentKind,
}

impl Extent {
    /// A range that has to be read.
    pub const fn data(offset: u64, length: u64) -> Self {
        Self {
            offset,
            length,
            kind: ExtentKind::Data,
        }
    }

    /// A range that reads as zeroes.
    pub const fn zero(offset: u64, length: u64) -> Self {
        Self {
            offset,
            length,
            kind: ExtentKind::Zero,
        }
    }

    /// The byte after the last; at the end of the number range it stops there.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// The same kind from `start` to `end`, nothing when that is empty.
    pub(crate) fn between(self, start: u64, end: u64) -> Option<Self> {
        (start < end).then(|| Self {
            offset: start,
            length: end - start,
            kind: self.kind,
        })
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ExtentKind::Data => "data",
            ExtentKind::Zero => "zero",
        };
        write!(
            f,
            "{kind} extent of {} bytes at {}",
            self.length, self.offset
        )
    }
}
