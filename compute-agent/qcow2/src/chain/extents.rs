//! The disk as a list of what lies where.

use std::ops::Range;
use std::sync::Arc;

use super::range_map::RangeMap;
use super::{Chain, ReadError};

/// A piece of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins on the disk.
    pub guest_offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Where its bytes come from.
    pub kind: ExtentKind,
}

/// Where the bytes of an extent come from. Images are counted from the newest, 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentKind {
    /// Nowhere: they are zero.
    Zero,
    /// From the file of an image, as they are.
    Data {
        /// The image.
        image: usize,
        /// Where in its file.
        host_offset: u64,
    },
    /// From a compressed cluster, of which the extent is all or a part: use
    /// [`Chain::read_extent`].
    Compressed {
        /// The image.
        image: usize,
        /// Where the compressed bytes begin in its file.
        host_offset: u64,
        /// The most that they can be.
        host_length: u32,
    },
}

impl Extent {
    /// The exclusive end on the disk.
    pub fn guest_end(&self) -> u64 {
        self.guest_offset + self.length
    }

    /// Whether `kind` at the end of this extent only prolongs it.
    fn is_continued_by(&self, kind: ExtentKind) -> bool {
        match (self.kind, kind) {
            (ExtentKind::Zero, ExtentKind::Zero) => true,
            (
                ExtentKind::Data { image, host_offset },
                ExtentKind::Data {
                    image: next_image,
                    host_offset: next,
                },
            ) => image == next_image && host_offset + self.length == next,
            _ => false,
        }
    }
}

/// The extents of a range of the disk, see [`Chain::extents`]. Ends after an error.
#[derive(Debug)]
pub struct Extents<'a> {
    chain: &'a Chain,
    left: Range<u64>,
    map: Option<Arc<RangeMap>>,
}

impl<'a> Extents<'a> {
    pub(super) fn new(chain: &'a Chain, range: Range<u64>) -> Self {
        Self {
            chain,
            left: range,
            map: None,
        }
    }

    fn next_extent(&mut self) -> Result<Option<Extent>, ReadError> {
        let start = self.left.start;
        let map = match self.map.take() {
            Some(map) if map.range().contains(&start) => map,
            _ => self.chain.range_map(start)?,
        };
        let Some((kind, end)) = map.piece(self.chain, start) else {
            return Ok(None);
        };
        let mut extent = Extent {
            guest_offset: start,
            length: end - start,
            kind,
        };
        while extent.guest_end() < self.left.end {
            match map.piece(self.chain, extent.guest_end()) {
                Some((kind, end)) if extent.is_continued_by(kind) => extent.length = end - start,
                _ => break,
            }
        }
        extent.length = extent.length.min(self.left.end - start);
        self.left.start = extent.guest_end();
        self.map = Some(map);
        Ok(Some(extent))
    }
}

impl Iterator for Extents<'_> {
    type Item = Result<Extent, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let next = self.next_extent();
        if next.is_err() {
            self.left.end = self.left.start;
        }
        next.transpose()
    }
}
