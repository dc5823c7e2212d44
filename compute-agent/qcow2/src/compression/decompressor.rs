//! Decompressing clusters that anyone may have written.

use std::fmt;

use flate2::{Decompress, FlushDecompress};

use crate::CompressionType;

/// The contexts and buffers that one thread reads compressed clusters with. They are made when they
/// are first needed: about 250 KiB, and the bytes of what is read at once.
#[derive(Default)]
pub struct Decompressor {
    pub(crate) codec: Codec,
    /// As read from a file.
    pub(crate) packed: Vec<u8>,
    /// Of which a part is wanted.
    pub(crate) cluster: Vec<u8>,
}

impl Decompressor {
    /// Holds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

/// The contexts, each of which may be used again after a failure.
#[derive(Default)]
pub(crate) struct Codec {
    zlib: Option<Decompress>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Codec {
    /// Fills `cluster` from `packed`, which may go on behind the payload.
    pub(crate) fn unpack(
        &mut self,
        kind: CompressionType,
        packed: &[u8],
        cluster: &mut [u8],
    ) -> Result<(), &'static str> {
        let length = match kind {
            CompressionType::Zlib => self.inflate(packed, cluster),
            CompressionType::Zstd => self.unpack_zstd(packed, cluster),
        };
        if length == Some(cluster.len()) {
            Ok(())
        } else {
            Err("a compressed cluster cannot be decompressed")
        }
    }

    fn inflate(&mut self, packed: &[u8], cluster: &mut [u8]) -> Option<usize> {
        let engine = self.zlib.get_or_insert_with(|| Decompress::new(false));
        engine.reset(false);
        let status = engine.decompress(packed, cluster, FlushDecompress::Finish);
        // Like QEMU: a stream that has filled the cluster is good, even if it would go on.
        status.ok()?;
        usize::try_from(engine.total_out()).ok()
    }

    fn unpack_zstd(&mut self, packed: &[u8], cluster: &mut [u8]) -> Option<usize> {
        let length = zstd::zstd_safe::find_frame_compressed_size(packed).ok()?;
        let engine = self.zstd.get_or_insert_default();
        let frame = packed.get(..length)?;
        engine.decompress_to_buffer(frame, cluster).ok()
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}
