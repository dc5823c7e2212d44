//! Compressing clusters.

use std::{fmt, io};

use flate2::{Compress, FlushCompress, Status};

use super::PAYLOAD_BYTES;
use crate::Compression;
use crate::geometry::CLUSTER_LENGTH;

/// What is saved less than this is not worth decompressing.
const WORTH_BYTES: usize = 1024;
/// QEMU reads with a window of 4 KiB.
const ZLIB_WINDOW_BITS: u8 = 12;
const ZLIB_LEVEL: i32 = 6;
const ZSTD_LEVEL: i32 = 1;

/// Why a cluster cannot be compressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// No such level.
    #[error("{compression:?} has no compression level {level}")]
    InvalidLevel {
        /// What was to be used.
        compression: Compression,
        /// The level asked for.
        level: i32,
    },
    /// More than one cluster was given.
    #[error("{length} bytes are more than a cluster")]
    TooLong {
        /// The bytes given.
        length: usize,
    },
    /// Deflate failed.
    #[error("cannot compress with zlib")]
    Zlib(#[source] flate2::CompressError),
    /// Zstandard failed.
    #[error("cannot compress with zstd")]
    Zstd(#[source] io::Error),
}

/// Compresses clusters, one at a time; for one thread.
pub struct Compressor {
    engine: Engine,
    padded: Vec<u8>,
    payload: Vec<u8>,
}

enum Engine {
    None,
    Zlib(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    /// At the level that is quick enough for most disks: 1 for zstd, 6 for zlib.
    pub fn new(compression: Compression) -> Result<Self, CompressError> {
        let level = match compression {
            Compression::None => 0,
            Compression::Zlib => ZLIB_LEVEL,
            Compression::Zstd => ZSTD_LEVEL,
        };
        Self::with_level(compression, level)
    }

    /// At a level of 1 to 9 for zlib, up to 22 for zstd (negative ones are quicker still), 0 for none.
    pub fn with_level(compression: Compression, level: i32) -> Result<Self, CompressError> {
        let levels = match compression {
            Compression::None => 0..=0,
            Compression::Zlib => 1..=9,
            Compression::Zstd => zstd::compression_level_range(),
        };
        if !levels.contains(&level) {
            return Err(CompressError::InvalidLevel { compression, level });
        }
        let (engine, longest) = match compression {
            Compression::None => (Engine::None, 0),
            Compression::Zlib => {
                let level = flate2::Compression::new(level.unsigned_abs());
                let engine = Compress::new_with_window_bits(level, false, ZLIB_WINDOW_BITS);
                (Engine::Zlib(engine), CLUSTER_LENGTH)
            }
            Compression::Zstd => {
                let engine = zstd::bulk::Compressor::new(level).map_err(CompressError::Zstd)?;
                let longest = zstd::zstd_safe::compress_bound(CLUSTER_LENGTH);
                (Engine::Zstd(engine), longest)
            }
        };
        Ok(Self {
            engine,
            padded: Vec::new(),
            payload: Vec::with_capacity(longest),
        })
    }

    /// The payload of a cluster, for [`crate::ImageWriter::write_compressed`]; None if it would save
    /// next to nothing: store the cluster as it is then. A short cluster, the disk's last, is filled
    /// with zeroes, since readers expect a whole one.
    pub fn compress(&mut self, cluster: &[u8]) -> Result<Option<&[u8]>, CompressError> {
        let length = cluster.len();
        let cluster = match length {
            CLUSTER_LENGTH => cluster,
            0..CLUSTER_LENGTH => {
                self.padded.clear();
                self.padded.extend_from_slice(cluster);
                self.padded.resize(CLUSTER_LENGTH, 0);
                &self.padded
            }
            _ => return Err(CompressError::TooLong { length }),
        };
        self.payload.clear();
        let is_whole = match &mut self.engine {
            Engine::None => false,
            Engine::Zlib(engine) => {
                engine.reset();
                let finish = FlushCompress::Finish;
                let status = engine.compress_vec(cluster, &mut self.payload, finish);
                // Otherwise the payload was longer than what it is given room for.
                status.map_err(CompressError::Zlib)? == Status::StreamEnd
            }
            Engine::Zstd(engine) => {
                let result = engine.compress_to_buffer(cluster, &mut self.payload);
                result.map_err(CompressError::Zstd)?;
                true
            }
        };
        let is_worth_it = self.payload.len() + WORTH_BYTES <= CLUSTER_LENGTH;
        let is_payload = is_whole && is_worth_it && PAYLOAD_BYTES.contains(&self.payload.len());
        Ok(is_payload.then_some(&self.payload))
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = match self.engine {
            Engine::None => "none",
            Engine::Zlib(_) => "zlib",
            Engine::Zstd(_) => "zstd",
        };
        f.debug_tuple("Compressor").field(&engine).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CompressionType, Decompressor};

    const KINDS: [(Compression, CompressionType); 2] = [
        (Compression::Zlib, CompressionType::Zlib),
        (Compression::Zstd, CompressionType::Zstd),
    ];

    fn text(length: usize) -> Vec<u8> {
        (0..length)
            .map(|n| (n / 7).to_le_bytes()[0] % 61 + b'0')
            .collect()
    }

    /// Bytes that no compressor makes shorter.
    fn noise() -> Vec<u8> {
        let mut bytes = vec![0; CLUSTER_LENGTH];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn a_context_is_used_again_and_again() {
        for (compression, kind) in KINDS {
            let mut compressor = Compressor::new(compression).unwrap();
            let mut decompressor = Decompressor::new();
            let mut back = vec![0; CLUSTER_LENGTH];
            for cluster in [text(CLUSTER_LENGTH), vec![0; CLUSTER_LENGTH], text(100)] {
                assert_eq!(compressor.compress(&noise()).unwrap(), None);
                let payload = compressor.compress(&cluster).unwrap().unwrap();
                assert!(payload.len() < 9000, "{}", payload.len());
                decompressor.codec.unpack(kind, payload, &mut back).unwrap();
                assert_eq!(back[..cluster.len()], cluster);
                assert!(back[cluster.len()..].iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn what_follows_a_payload_is_not_looked_at() {
        for (compression, kind) in KINDS {
            let cluster = text(CLUSTER_LENGTH);
            let mut compressor = Compressor::new(compression).unwrap();
            let payload = compressor.compress(&cluster).unwrap().unwrap();
            let mut back = vec![0; CLUSTER_LENGTH];
            let mut decompressor = Decompressor::new();
            for rest in [vec![0; 511], noise(), payload.to_vec()] {
                let packed = [payload, &rest].concat();
                decompressor.codec.unpack(kind, &packed, &mut back).unwrap();
                assert_eq!(back, cluster);
            }
        }
    }

    #[test]
    fn half_a_payload_or_one_of_another_size_is_an_error() {
        for (compression, kind) in KINDS {
            let mut compressor = Compressor::new(compression).unwrap();
            let payload = compressor.compress(&text(CLUSTER_LENGTH)).unwrap().unwrap();
            let mut decompressor = Decompressor::new();
            let half = &payload[..payload.len() / 2];
            let mut cluster = vec![0; CLUSTER_LENGTH];
            assert!(decompressor.codec.unpack(kind, half, &mut cluster).is_err());
            assert!(decompressor.codec.unpack(kind, &[], &mut cluster).is_err());
            let mut larger = vec![0; 2 * CLUSTER_LENGTH];
            assert!(
                decompressor
                    .codec
                    .unpack(kind, payload, &mut larger)
                    .is_err()
            );
            // And the contexts are as good as before.
            decompressor
                .codec
                .unpack(kind, payload, &mut cluster)
                .unwrap();
        }
    }

    #[test]
    fn zlib_looks_back_no_further_than_qemus_window() {
        // Repeats itself after 5000 bytes, which a larger window would make use of.
        let cluster: Vec<u8> = noise()[..5000]
            .iter()
            .copied()
            .cycle()
            .take(CLUSTER_LENGTH)
            .collect();
        let mut compressor = Compressor::new(Compression::Zlib).unwrap();
        assert_eq!(compressor.compress(&cluster).unwrap(), None);

        // In pieces, so that what was written before is only in the decoder's window.
        let cluster = text(CLUSTER_LENGTH);
        let payload = compressor.compress(&cluster).unwrap().unwrap();
        let mut decoder = flate2::Decompress::new_with_window_bits(false, ZLIB_WINDOW_BITS);
        let mut back = vec![0; CLUSTER_LENGTH];
        for piece in back.chunks_mut(100) {
            let rest = &payload[usize::try_from(decoder.total_in()).unwrap()..];
            let flush = flate2::FlushDecompress::None;
            decoder.decompress(rest, piece, flush).unwrap();
        }
        assert_eq!(back, cluster);
    }

    #[test]
    fn levels_that_do_not_exist_and_more_than_a_cluster_are_refused() {
        for (compression, level) in [
            (Compression::None, 1),
            (Compression::Zlib, 0),
            (Compression::Zlib, 10),
            (Compression::Zstd, 23),
        ] {
            let refused = Compressor::with_level(compression, level).unwrap_err();
            assert!(matches!(refused, CompressError::InvalidLevel { .. }));
        }
        let mut compressor = Compressor::with_level(Compression::Zstd, 19).unwrap();
        let refused = compressor.compress(&[0; CLUSTER_LENGTH + 1]).unwrap_err();
        assert!(matches!(refused, CompressError::TooLong { .. }));
    }

    #[test]
    fn without_compression_nothing_has_a_payload() {
        let mut compressor = Compressor::new(Compression::None).unwrap();
        assert_eq!(compressor.compress(&text(CLUSTER_LENGTH)).unwrap(), None);
    }
}
