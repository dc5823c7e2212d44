//! The first cluster of an image: what it is, how large, on top of what.
//!
//! The format is QEMU's `docs/interop/qcow2.txt`; all numbers are big-endian.

mod build;
mod parse;

pub(crate) use build::{HeaderPlan, header_cluster};
pub use parse::HeaderError;

use std::io;
use std::ops::Range;

use crate::ReadAt;

const MAGIC: u32 = 0x5146_49fb;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_END: u32 = 0;
const VERSION_3_LENGTH: u32 = 104;
/// Of a header that says how clusters are compressed.
const COMPRESSION_LENGTH: u32 = 112;
const COMPRESSION_ZLIB: u8 = 0;
const COMPRESSION_ZSTD: u8 = 1;
/// Clusters are compressed in another way than by zlib.
const INCOMPATIBLE_COMPRESSION: u64 = 8;

/// What the header of an image says; every offset in it lies within the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// Size of the disk, a multiple of 512 for images of ours.
    pub virtual_size: u64,
    /// Binary logarithm of the cluster size, 9 to 21.
    pub cluster_bits: u32,
    /// How compressed clusters are compressed.
    pub compression: CompressionType,
    /// The file this image is an overlay of, as written: relative to the image's own folder.
    pub backing_name: Option<String>,
    /// The format the backing file is said to have.
    pub backing_format: Option<String>,
    /// Where the L1 table begins.
    pub l1_offset: u64,
    /// Its entries of 8 bytes.
    pub l1_entries: u64,
}

/// How a compressed cluster is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionType {
    /// Raw deflate.
    Zlib,
    /// One Zstandard frame.
    Zstd,
}

impl Header {
    /// Reads and checks the header of `image`; nothing else of it is read.
    pub fn read(image: &(impl ReadAt + ?Sized)) -> Result<Self, HeaderError> {
        parse::read(image)
    }

    /// The cluster size in bytes.
    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// How much of the disk one L2 table maps.
    pub(crate) fn bytes_per_l2(&self) -> u64 {
        1 << (2 * self.cluster_bits - 3)
    }

    /// What the head's digest is of, one after the other: the header's cluster and those of the L1 table,
    /// which a merge puts anywhere.
    pub fn head_ranges(&self) -> [Range<u64>; 2] {
        let l1_end = self.l1_offset + (self.l1_entries * 8).next_multiple_of(self.cluster_size());
        [0..self.cluster_size(), self.l1_offset..l1_end]
    }

    /// BLAKE3 of the head of `image`, whose header this is.
    pub fn head_blake3(&self, image: &(impl ReadAt + ?Sized)) -> io::Result<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        let mut cluster = vec![0; 1 << self.cluster_bits];
        for range in self.head_ranges() {
            for offset in range.step_by(1 << self.cluster_bits) {
                image.read_exact_at(&mut cluster, offset)?;
                hasher.update(&cluster);
            }
        }
        Ok(hasher.finalize().into())
    }

    /// Where the head of an image ends as it was written: the header and the L1 table behind it, in
    /// whole clusters.
    pub fn head_bytes(&self) -> u64 {
        (self.l1_offset + self.l1_entries * 8).next_multiple_of(self.cluster_size())
    }
}
