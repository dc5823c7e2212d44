//! The first 32 bytes of an index.

use super::IndexReadError;
use crate::HashAlgorithm;

const MAGIC: [u8; 8] = *b"BKSTYIDX";
const VERSION: u32 = 1;
const BLAKE3_ID: u8 = 1;

/// What an index belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexHeader {
    /// The image's cluster size.
    pub cluster_size: u32,
    /// The disk's true size in bytes.
    pub size_bytes: u64,
    /// How the digests were made.
    pub algorithm: HashAlgorithm,
    /// Whether a secret key went into them.
    pub is_keyed: bool,
}

impl IndexHeader {
    pub(super) const BYTES: usize = 32;

    /// How many clusters the disk has.
    pub fn cluster_count(&self) -> u64 {
        self.size_bytes
            .div_ceil(u64::from(self.cluster_size.max(1)))
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let algorithm = match self.algorithm {
            HashAlgorithm::Blake3 => BLAKE3_ID,
        };
        let mut out = Vec::with_capacity(Self::BYTES);
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.cluster_size.to_le_bytes());
        out.extend(self.size_bytes.to_le_bytes());
        out.extend([algorithm, u8::from(self.is_keyed)]);
        out.resize(Self::BYTES, 0);
        out
    }

    pub(super) fn parse(bytes: &[u8; Self::BYTES]) -> Result<Self, IndexReadError> {
        let damaged = IndexReadError::BadHeader;
        let fields = || {
            let (magic, rest) = bytes.split_first_chunk::<8>()?;
            let (version, rest) = rest.split_first_chunk::<4>()?;
            let (cluster_size, rest) = rest.split_first_chunk::<4>()?;
            let (size_bytes, rest) = rest.split_first_chunk::<8>()?;
            Some((magic, version, cluster_size, size_bytes, rest))
        };
        let (magic, version, cluster_size, size_bytes, rest) =
            fields().ok_or(damaged("too short"))?;
        if *magic != MAGIC {
            return Err(IndexReadError::BadMagic);
        }
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(IndexReadError::UnknownVersion { version });
        }
        let cluster_size = u32::from_le_bytes(*cluster_size);
        let is_keyed = match rest {
            [BLAKE3_ID, 0, 0, 0, 0, 0, 0, 0] => false,
            [BLAKE3_ID, 1, 0, 0, 0, 0, 0, 0] => true,
            [BLAKE3_ID, ..] => return Err(damaged("reserved bytes are in use")),
            _ => return Err(damaged("unknown hash algorithm")),
        };
        if !cluster_size.is_power_of_two() {
            return Err(damaged("cluster size is no power of two"));
        }
        let size_bytes = u64::from_le_bytes(*size_bytes);
        Ok(Self {
            cluster_size,
            size_bytes,
            algorithm: HashAlgorithm::Blake3,
            is_keyed,
        })
    }
}
