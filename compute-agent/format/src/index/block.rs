//! Single blocks of an index that was read before: for those who look up clusters here and there.

use std::io::Read;

use super::{IndexHeader, IndexReadError, IndexReader, IndexRecord, RECORDS_PER_BLOCK};
use crate::Digest;

/// Where the blocks of an index are: 16 bytes of memory for each 256 MiB of data.
#[derive(Debug, Clone)]
pub struct IndexBlocks {
    header: IndexHeader,
    /// First cluster and offset of each.
    blocks: Vec<(u64, u64)>,
    /// Where the trailer begins.
    end: u64,
}

impl IndexBlocks {
    /// Reads the index to its end, so that damage anywhere is found now.
    pub fn read<R: Read>(index: &mut IndexReader<R>) -> Result<Self, IndexReadError> {
        let header = *index.header();
        let mut blocks: Vec<(u64, u64)> = Vec::new();
        while let Some(record) = index.next() {
            let (cluster, offset) = (record?.cluster, index.block_offset());
            if blocks.last().is_none_or(|(_, last)| *last != offset) {
                blocks.push((cluster, offset));
            }
        }
        // The trailer is read as a block without records.
        let end = index.block_offset();
        Ok(Self {
            header,
            blocks,
            end,
        })
    }

    /// What the index belongs to.
    pub fn header(&self) -> &IndexHeader {
        &self.header
    }

    /// The number of the block that has `cluster`, if any has.
    pub fn block_of(&self, cluster: u64) -> Option<usize> {
        let behind = self.blocks.partition_point(|(first, _)| *first <= cluster);
        behind.checked_sub(1)
    }

    /// The records of a block, read by `read_exact_at` and checked as they were the first time.
    pub fn records(
        &self,
        number: usize,
        mut read_exact_at: impl FnMut(&mut [u8], u64) -> std::io::Result<()>,
    ) -> Result<Vec<IndexRecord>, IndexReadError> {
        let Some((_, offset)) = self.blocks.get(number).copied() else {
            return Ok(Vec::new());
        };
        let end = self
            .blocks
            .get(number + 1)
            .map_or(self.end, |(_, next)| *next);
        let most = 4 + RECORDS_PER_BLOCK * IndexRecord::BYTES + Digest::BYTES;
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(most);
        let mut bytes = vec![0; length.min(most)];
        let failed = |source| IndexReadError::Io { offset, source };
        read_exact_at(&mut bytes, offset).map_err(failed)?;
        let before = match number {
            0 => Digest::of(&self.header.to_bytes()),
            _ => {
                let mut digest = [0; Digest::BYTES];
                read_exact_at(&mut digest, offset - Digest::BYTES as u64).map_err(failed)?;
                Digest::from(digest)
            }
        };
        let truncated = || IndexReadError::Truncated { offset };
        let (covered, digest) = bytes.split_last_chunk().ok_or_else(truncated)?;
        if Digest::of_parts(&[before.as_bytes(), covered]) != Digest::from(*digest) {
            return Err(IndexReadError::BadDigest { offset });
        }
        let records = covered.get(4..).unwrap_or_default();
        let (records, _) = records.as_chunks::<{ IndexRecord::BYTES }>();
        let parsed = records
            .iter()
            .map(|bytes| IndexRecord::parse(bytes).ok_or(IndexReadError::BadRecord { offset }));
        parsed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashAlgorithm;
    use crate::index::{ClusterContent, IndexWriter};

    fn index(clusters: impl Iterator<Item = u64>) -> Vec<u8> {
        let header = IndexHeader {
            cluster_size: 65536,
            size_bytes: 1 << 40,
            algorithm: HashAlgorithm::Blake3,
            is_keyed: false,
        };
        let mut writer = IndexWriter::create(Vec::new(), header).unwrap();
        for cluster in clusters {
            let content = match cluster % 5 {
                0 => ClusterContent::Zero,
                _ => ClusterContent::Data(Digest::of(&cluster.to_le_bytes())),
            };
            writer
                .push(super::IndexRecord { cluster, content })
                .unwrap();
            if cluster == 3333 {
                // A shorter block.
                writer.checkpoint().unwrap();
            }
        }
        writer.finish().unwrap().0
    }

    fn read_from(bytes: &[u8]) -> impl FnMut(&mut [u8], u64) -> std::io::Result<()> {
        move |buffer, offset| {
            let start = usize::try_from(offset).unwrap();
            buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            Ok(())
        }
    }

    #[test]
    fn every_record_is_found_in_its_block() {
        let bytes = index((0..30_000).step_by(3));
        let mut reader = IndexReader::open(&bytes[..]).unwrap();
        let blocks = IndexBlocks::read(&mut reader).unwrap();
        for cluster in (0..30_000).step_by(101) {
            let block = blocks.block_of(cluster).unwrap();
            let records = blocks.records(block, read_from(&bytes)).unwrap();
            let found = records.iter().any(|record| record.cluster == cluster);
            assert_eq!(found, cluster % 3 == 0, "{cluster}");
        }
    }

    #[test]
    fn an_index_without_records_has_no_blocks() {
        let bytes = index(std::iter::empty());
        let mut reader = IndexReader::open(&bytes[..]).unwrap();
        let blocks = IndexBlocks::read(&mut reader).unwrap();
        assert_eq!(blocks.block_of(7), None);
    }

    #[test]
    fn a_block_that_changed_since_is_damage() {
        let mut bytes = index((0..9000).filter(|n| n % 2 == 0));
        let mut reader = IndexReader::open(&bytes[..]).unwrap();
        let blocks = IndexBlocks::read(&mut reader).unwrap();
        bytes[100] ^= 1;
        assert!(blocks.records(0, read_from(&bytes)).is_err());
    }
}
