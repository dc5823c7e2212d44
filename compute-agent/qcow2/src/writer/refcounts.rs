//! Reference counts, streamed: no cluster of ours has two users, so a block of counts is known as
//! soon as the file has grown past what it counts.

use std::ops::Range;

use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, Geometry, REFCOUNTS_PER_BLOCK};

#[derive(Debug)]
pub(super) struct Refcounts {
    /// Host cluster of each block written.
    blocks: Vec<u64>,
    /// Clusters of the head that nothing uses: filling for a sink that needs a longer head.
    unused: Range<u64>,
}

/// What remains to be written when all else is.
pub(super) struct Tail {
    /// The blocks still missing.
    pub(super) blocks: Range<u64>,
    /// Clusters of the refcount table, which follows them.
    pub(super) table_clusters: u32,
    /// Clusters of the finished file.
    pub(super) clusters: u64,
}

impl Refcounts {
    pub(super) fn new(geometry: &Geometry, blocks: Vec<u64>) -> Self {
        Self {
            blocks,
            unused: geometry.head_clusters..geometry.reserved_clusters,
        }
    }

    pub(super) fn blocks(&self) -> &[u64] {
        &self.blocks
    }

    fn written(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// How many blocks a file of ours has when `clusters` of it are written.
    pub(super) fn expected_blocks(clusters: u64) -> u64 {
        clusters / REFCOUNTS_PER_BLOCK
    }

    /// The next block, if all that it counts has been written.
    pub(super) fn due(&self, clusters: u64) -> Option<u64> {
        (self.written() < Self::expected_blocks(clusters)).then(|| self.written())
    }

    /// The next block now lies at `host_cluster`.
    pub(super) fn placed(&mut self, host_cluster: u64) {
        self.blocks.push(host_cluster);
    }

    /// The bytes of a block in a file that ends after `clusters`.
    pub(super) fn block(&self, block: u64, clusters: u64) -> Vec<u8> {
        let first = block * REFCOUNTS_PER_BLOCK;
        let mut out = Vec::with_capacity(CLUSTER_LENGTH);
        for cluster in first..first + REFCOUNTS_PER_BLOCK {
            let is_used = cluster < clusters && !self.unused.contains(&cluster);
            out.extend(u16::from(is_used).to_be_bytes());
        }
        out
    }

    /// Blocks and table count themselves too: find the size at which nothing is left uncounted.
    pub(super) fn tail(&self, clusters: u64) -> Tail {
        let (mut blocks, mut table_clusters) = (self.written(), 1);
        loop {
            let total = clusters + (blocks - self.written()) + table_clusters;
            let needed = total.div_ceil(REFCOUNTS_PER_BLOCK).max(self.written());
            let table_needed = (needed * 8).div_ceil(CLUSTER_BYTES);
            if (needed, table_needed) == (blocks, table_clusters) {
                let table_clusters = u32::try_from(table_clusters).unwrap_or(u32::MAX);
                return Tail {
                    blocks: self.written()..blocks,
                    table_clusters,
                    clusters: total,
                };
            }
            (blocks, table_clusters) = (needed, table_needed);
        }
    }

    /// The bytes of the table, in whole clusters.
    pub(super) fn table(&self) -> Vec<u8> {
        let mut out: Vec<u8> = self
            .blocks
            .iter()
            .flat_map(|block| (block * CLUSTER_BYTES).to_be_bytes())
            .collect();
        out.resize(out.len().next_multiple_of(CLUSTER_LENGTH), 0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refcounts(written: u64) -> Refcounts {
        let geometry = Geometry::new(1 << 30, 0).unwrap();
        Refcounts::new(&geometry, (0..written).collect())
    }

    #[test]
    fn the_tail_counts_itself() {
        for clusters in [3, 32765, 32766, 32767] {
            let written = Refcounts::expected_blocks(clusters);
            let tail = refcounts(written).tail(clusters);
            let blocks = tail.blocks.end;
            assert!(blocks * REFCOUNTS_PER_BLOCK >= tail.clusters, "{clusters}");
            assert_eq!(tail.clusters, clusters + (blocks - written) + 1);
        }
        // 32766 clusters, one block, one table: exactly full. One more needs a second block.
        assert_eq!(refcounts(0).tail(32766).blocks, 0..1);
        assert_eq!(refcounts(0).tail(32767).blocks, 0..2);
    }

    #[test]
    fn a_file_of_16_tib_has_a_table_of_few_clusters() {
        let clusters = (16 << 40) / CLUSTER_BYTES;
        let tail = refcounts(Refcounts::expected_blocks(clusters)).tail(clusters);
        assert_eq!((tail.blocks.end, tail.table_clusters), (8193, 2));
    }

    #[test]
    fn filling_of_the_head_is_counted_as_free() {
        let geometry = Geometry::new(1 << 30, 5 << 20).unwrap();
        let block = Refcounts::new(&geometry, Vec::new()).block(0, 81);
        let counts: Vec<u8> = block.chunks(2).map(|count| count[1]).collect();
        assert_eq!(&counts[..3], [1, 1, 0]);
        assert_eq!(&counts[79..82], [0, 1, 0]);
    }
}
