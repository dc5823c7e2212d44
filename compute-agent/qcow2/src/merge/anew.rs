//! A new image of all that both hold.

use flate2::{Decompress, FlushDecompress};

use super::cell::{Cell, Packed};
use super::pair::{MergePair, Source};
use super::side::Side;
use super::{MergeError, Watch};
use crate::compression::PAYLOAD_BYTES;
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, L2_ENTRIES};
use crate::{
    Backing, Compression, CompressionType, Compressor, Decompressor, ImageOptions, ImageSink,
    ImageSummary, ImageWriter, WriteError,
};

/// Clusters read and written at once.
const RUN_CLUSTERS: usize = 32;

/// Writes the merged image to a new sink and completes it: the only way for images that other programs
/// wrote, and the one that leaves nothing dead. Compressed clusters stay as they are if both images compress alike.
pub fn write_merged<S: ImageSink>(
    pair: &MergePair,
    sink: S,
    backing: Option<Backing>,
    watch: Watch<'_>,
) -> Result<ImageSummary, MergeError> {
    let kinds = [&pair.parent, &pair.successor].map(|side| side.header.compression);
    let (kind, compression) = if kinds.contains(&CompressionType::Zstd) {
        (CompressionType::Zstd, Compression::Zstd)
    } else {
        // The same header as without any.
        (CompressionType::Zlib, Compression::Zlib)
    };
    let options = ImageOptions {
        size_bytes: pair.successor.header.virtual_size,
        backing,
        compression,
    };
    let mut rewriter = Rewriter {
        writer: ImageWriter::create(sink, options).map_err(MergeError::Anew)?,
        has_backing: pair.has_backing(),
        kind,
        compressor: Compressor::new(compression)
            .map_err(|_| pair.successor.unsupported("it cannot be compressed again"))?,
        decompressor: Decompressor::new(),
        buffer: vec![0; RUN_CLUSTERS * CLUSTER_LENGTH],
        watch,
    };
    for l1_index in pair.ranges() {
        if pair.is_touched(l1_index) || pair.parent.table_offset(l1_index) > 0 {
            rewriter.table(pair, l1_index)?;
        }
    }
    rewriter.writer.finish().map_err(MergeError::Anew)
}

struct Rewriter<'a, S> {
    writer: ImageWriter<S>,
    has_backing: bool,
    kind: CompressionType,
    compressor: Compressor,
    decompressor: Decompressor,
    buffer: Vec<u8>,
    watch: Watch<'a>,
}

/// What is done with a cluster.
#[derive(Clone, Copy)]
enum Piece<'p> {
    Skip,
    Zero,
    Data(&'p Side, u64),
    Packed(&'p Side, Packed),
    Bytes(&'p [u8]),
}

impl Piece<'_> {
    /// Whether the next cluster of the disk is also the next one of the file.
    fn goes_on(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Skip, Self::Skip) | (Self::Zero, Self::Zero) => true,
            (Self::Data(side, offset), Self::Data(next_side, next)) => {
                std::ptr::eq(*side, *next_side) && offset + CLUSTER_BYTES == *next
            }
            _ => false,
        }
    }
}

impl<S: ImageSink> Rewriter<'_, S> {
    fn table(&mut self, pair: &MergePair, l1_index: usize) -> Result<(), MergeError> {
        let table = pair.table(l1_index)?;
        let pieces = table.sources.iter().map(|source| self.piece(pair, *source));
        let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
        let mut at = l1_index as u64 * L2_ENTRIES;
        for run in pieces.chunk_by(|a, b| a.goes_on(b)) {
            let end = at + run.len() as u64;
            match run.first() {
                Some(Piece::Zero) if self.has_backing => self.write(|w| w.write_zero(at..end))?,
                Some(Piece::Data(side, offset)) => self.data(side, *offset, at, run.len())?,
                Some(Piece::Packed(side, packed)) => self.packed(side, *packed, at)?,
                Some(Piece::Bytes(bytes)) => self.write(|w| w.write_data(at, bytes))?,
                Some(Piece::Zero | Piece::Skip) | None => {}
            }
            at = end;
        }
        Ok(())
    }

    fn piece<'p>(&self, pair: &'p MergePair, source: Source) -> Result<Piece<'p>, MergeError> {
        let (parent, successor) = (&pair.parent, &pair.successor);
        Ok(match source {
            Source::Nothing => Piece::Skip,
            Source::Zero => Piece::Zero,
            Source::Data(offset) => Piece::Data(successor, offset),
            Source::Packed(packed) => Piece::Packed(successor, packed),
            Source::Boundary => Piece::Bytes(pair.boundary_bytes()?),
            Source::Parent(entry) => match Cell::parse(entry, parent.size_bytes()) {
                Ok(Cell::Absent) => Piece::Skip,
                Ok(Cell::Zero { .. }) => Piece::Zero,
                Ok(Cell::Data(offset)) => Piece::Data(parent, offset),
                Ok(Cell::Packed(packed)) => Piece::Packed(parent, packed),
                Err(what) => return Err(parent.damaged(0, what)),
            },
        })
    }

    fn write(
        &mut self,
        step: impl FnOnce(&mut ImageWriter<S>) -> Result<(), WriteError>,
    ) -> Result<(), MergeError> {
        step(&mut self.writer).map_err(MergeError::Anew)
    }

    fn data(
        &mut self,
        side: &Side,
        mut offset: u64,
        mut at: u64,
        mut clusters: usize,
    ) -> Result<(), MergeError> {
        while clusters > 0 {
            let now = clusters.min(RUN_CLUSTERS);
            let mut buffer = std::mem::take(&mut self.buffer);
            let bytes = buffer.get_mut(..now * CLUSTER_LENGTH).unwrap_or_default();
            let length = bytes.len() as u64;
            side.read(bytes, offset)?;
            self.write(|writer| writer.write_data(at, bytes))?;
            self.buffer = buffer;
            self.moved(length)?;
            (offset, at, clusters) = (offset + length, at + now as u64, clusters - now);
        }
        Ok(())
    }

    fn packed(&mut self, side: &Side, packed: Packed, at: u64) -> Result<(), MergeError> {
        let mut cluster = vec![0; CLUSTER_LENGTH];
        let kind = side.header.compression;
        // Who reads it anyway knows that it is whole.
        side.unpack(packed, &mut self.decompressor, &mut cluster)?;
        if kind == self.kind {
            let payload = &self.decompressor.packed;
            let length = payload_length(kind, payload, &mut cluster);
            let payload = length.and_then(|length| payload.get(..length));
            if let Some(payload) = payload.filter(|p| PAYLOAD_BYTES.contains(&p.len())) {
                let written = self.writer.write_compressed(at, payload);
                written.map_err(MergeError::Anew)?;
                return self.moved(packed.length);
            }
        }
        let compressed = self.compressor.compress(&cluster);
        let written = match compressed {
            Ok(Some(payload)) => self.writer.write_compressed(at, payload),
            Ok(None) | Err(_) => self.writer.write_data(at, &cluster),
        };
        written.map_err(MergeError::Anew)?;
        self.moved(packed.length)
    }

    fn moved(&mut self, bytes: u64) -> Result<(), MergeError> {
        if (self.watch)(bytes) {
            Ok(())
        } else {
            Err(MergeError::Stopped)
        }
    }
}

/// Where the payload at the beginning of `packed` ends; tables know it by the sector only.
fn payload_length(kind: CompressionType, packed: &[u8], cluster: &mut [u8]) -> Option<usize> {
    match kind {
        CompressionType::Zstd => zstd::zstd_safe::find_frame_compressed_size(packed).ok(),
        CompressionType::Zlib => {
            let mut engine = Decompress::new(false);
            let status = engine.decompress(packed, cluster, FlushDecompress::Finish);
            status.ok()?;
            usize::try_from(engine.total_in()).ok()
        }
    }
}
