//! Reference counts, streamed: a cluster of ours has one user, or if it holds payloads as many as
//! payloads touch it, which is known when it is written. So a block of counts is known as soon as the
//! file has grown past what it counts.

use std::ops::Range;

use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, Geometry, REFCOUNTS_PER_BLOCK};

#[derive(Debug)]
pub(super) struct Refcounts {
    /// Host cluster of each block written.
    blocks: Vec<u64>,
    /// Clusters of the head that nothing uses: filling for a sink that needs a longer head.
    unused: Range<u64>,
    /// Users of the clusters from the first that no written block counts; those past its end have one.
    users: Vec<u16>,
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
            users: Vec::new(),
        }
    }

    /// The clusters from `host_cluster` on have so many users. They must be later ones than those
    /// that were shared before.
    pub(super) fn share(&mut self, host_cluster: u64, users: impl Iterator<Item = u16>) {
        let place = host_cluster.saturating_sub(self.first_uncounted());
        self.users
            .resize(usize::try_from(place).unwrap_or(usize::MAX), 1);
        self.users.extend(users);
    }

    /// Runs of clusters that were shared and are in no written block.
    pub(super) fn shared(&self) -> Vec<(u64, Vec<u16>)> {
        let mut place = self.first_uncounted();
        let mut shared = Vec::new();
        for run in self.users.chunk_by(|a, b| (*a == 1) == (*b == 1)) {
            if run.iter().any(|users| *users != 1) {
                shared.push((place, run.to_vec()));
            }
            place += run.len() as u64;
        }
        shared
    }

    fn first_uncounted(&self) -> u64 {
        self.written() * REFCOUNTS_PER_BLOCK
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

    /// Whether all that the next block counts has been written.
    pub(super) fn is_due(&self, clusters: u64) -> bool {
        self.written() < Self::expected_blocks(clusters)
    }

    /// The next block now lies at `host_cluster`.
    pub(super) fn placed(&mut self, host_cluster: u64) {
        self.blocks.push(host_cluster);
        let counted = self.users.len().min(CLUSTER_LENGTH / 2);
        self.users.drain(..counted);
    }

    /// The bytes of the next block in a file that ends after `clusters`.
    pub(super) fn next_block(&self, clusters: u64) -> Vec<u8> {
        let first = self.first_uncounted();
        let mut out = Vec::with_capacity(CLUSTER_LENGTH);
        let users = self.users.iter().copied().chain(std::iter::repeat(1));
        for (cluster, users) in (first..first + REFCOUNTS_PER_BLOCK).zip(users) {
            let is_used = cluster < clusters && !self.unused.contains(&cluster);
            out.extend(if is_used { users } else { 0 }.to_be_bytes());
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
        let block = Refcounts::new(&geometry, Vec::new()).next_block(81);
        let counts: Vec<u8> = block.chunks(2).map(|count| count[1]).collect();
        assert_eq!(&counts[..3], [1, 1, 0]);
        assert_eq!(&counts[79..82], [0, 1, 0]);
    }

    #[test]
    fn shared_clusters_are_counted_across_blocks() {
        let mut refcounts = refcounts(0);
        refcounts.share(10, [5, 1, 7].into_iter());
        let first = REFCOUNTS_PER_BLOCK;
        refcounts.share(first - 1, [2, 300, 4].into_iter());
        let shared = [(10, vec![5]), (12, vec![7]), (first - 1, vec![2, 300, 4])];
        assert_eq!(refcounts.shared(), shared);

        let counts = |block: Vec<u8>| -> Vec<u16> {
            let (counts, _) = block.as_chunks::<2>();
            counts
                .iter()
                .map(|count| u16::from_be_bytes(*count))
                .collect()
        };
        let block = counts(refcounts.next_block(u64::MAX));
        assert_eq!(block[8..14], [1, 1, 5, 1, 7, 1]);
        assert_eq!(block[32766..], [1, 2]);
        refcounts.placed(first);
        assert_eq!(refcounts.shared(), [(first, vec![300, 4])]);
        let block = counts(refcounts.next_block(first + 3));
        assert_eq!(block[..5], [300, 4, 1, 0, 0]);
        refcounts.placed(first + 4);
        assert_eq!(refcounts.shared(), []);
    }
}
