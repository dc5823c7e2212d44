//! Payloads of compressed clusters, packed one after the other.
//!
//! ```text
//! | p1 | p2  | p3 ...  | p8 |  p9  | p10 ...      chunk: whole clusters of the file
//! '-------- placed -------'  ^ cut: p9 goes to the next chunk
//! ```
//! A chunk gets its place in the file only when it is full, or when the L2 table of its clusters, a
//! checkpoint or the image ends. So clusters that are stored as they are, which come in between, go to
//! the file at once and break no packing. A chunk is cut between payloads, where least of its last
//! cluster stays unused.

use crate::aligned::AlignedBuffer;
use crate::geometry::CLUSTER_LENGTH;

const CHUNK_CLUSTERS: usize = 32;
/// How many of a chunk's last clusters are looked at for the best cut.
const CUT_CLUSTERS: usize = 8;

/// The chunk that is being filled.
#[derive(Debug)]
pub(super) struct Packer {
    buffer: AlignedBuffer,
    payloads: Vec<Payload>,
}

/// A payload and its place in the chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload {
    pub(super) guest_cluster: u64,
    pub(super) start: usize,
    pub(super) length: usize,
}

impl Payload {
    fn end(&self) -> usize {
        self.start + self.length
    }
}

/// The payloads that go into the file, and the length of the clusters that hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) payloads: usize,
    pub(super) bytes: usize,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self {
            // A payload may begin in the chunk's last cluster and end behind it.
            buffer: AlignedBuffer::new((CHUNK_CLUSTERS + 1) * CLUSTER_LENGTH),
            payloads: Vec::new(),
        }
    }

    /// Bytes that have no place yet.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.room() < CLUSTER_LENGTH
    }

    pub(super) fn push(&mut self, guest_cluster: u64, payload: &[u8]) {
        self.payloads.push(Payload {
            guest_cluster,
            start: self.buffer.len(),
            length: payload.len(),
        });
        self.buffer.push(payload);
    }

    /// Where to cut a full chunk.
    pub(super) fn best_cut(&self) -> Cut {
        let whole = self.buffer.len() / CLUSTER_LENGTH;
        let mut best = (usize::MAX, self.everything());
        let mut payloads = self.payloads.len();
        for clusters in (whole.saturating_sub(CUT_CLUSTERS - 1).max(1)..=whole).rev() {
            let bytes = clusters * CLUSTER_LENGTH;
            let is_behind = |payload: &&Payload| payload.end() > bytes;
            let before = self.payloads.get(..payloads).unwrap_or_default();
            payloads -= before.iter().rev().take_while(is_behind).count();
            let used = payloads.checked_sub(1).and_then(|n| self.payloads.get(n));
            let unused = bytes - used.map_or(0, Payload::end);
            if payloads > 0 && unused < best.0 {
                best = (unused, Cut { payloads, bytes });
            }
        }
        best.1
    }

    /// All of it; the last cluster may stay partly unused.
    pub(super) fn everything(&self) -> Cut {
        Cut {
            payloads: self.payloads.len(),
            bytes: self.buffer.len(),
        }
    }

    /// The bytes up to a cut. Behind the last payload are the first bytes of the one that is left out.
    pub(super) fn bytes(&self, cut: Cut) -> &[u8] {
        self.buffer.bytes().get(..cut.bytes).unwrap_or_default()
    }

    pub(super) fn payloads(&self, cut: Cut) -> &[Payload] {
        self.payloads.get(..cut.payloads).unwrap_or_default()
    }

    /// Keeps what lies behind a cut.
    pub(super) fn remove(&mut self, cut: Cut) {
        let placed = self.payloads.drain(..cut.payloads).next_back();
        let removed = placed.map_or(0, |payload| payload.end());
        self.buffer.drop_before(removed);
        for payload in &mut self.payloads {
            payload.start -= removed;
        }
    }
}

/// How many payloads touch each of the clusters that hold them.
pub(super) fn users(payloads: &[Payload]) -> impl Iterator<Item = u16> {
    let clusters = payloads
        .last()
        .map_or(0, |last| last.end().div_ceil(CLUSTER_LENGTH));
    (0..clusters).map(|cluster| {
        let (start, end) = (cluster * CLUSTER_LENGTH, (cluster + 1) * CLUSTER_LENGTH);
        let first = payloads.partition_point(|payload| payload.end() <= start);
        let behind = payloads.partition_point(|payload| payload.start < end);
        // Payloads have at least 8 bytes (`PAYLOAD_BYTES`), so this is less than 8200.
        u16::try_from(behind - first).unwrap_or(u16::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(lengths: impl IntoIterator<Item = usize>) -> Packer {
        let mut packer = Packer::new();
        for (cluster, length) in (0..).zip(lengths) {
            assert!(!packer.is_full());
            packer.push(cluster, &vec![low_byte(cluster); length]);
        }
        packer
    }

    fn low_byte(cluster: u64) -> u8 {
        cluster.to_le_bytes()[0]
    }

    fn users_of(packer: &Packer, cut: Cut) -> Vec<u16> {
        users(packer.payloads(cut)).collect()
    }

    #[test]
    fn each_cluster_counts_the_payloads_that_touch_it() {
        let packer = packed([65535, 1000, 64537, 8, 65535, 65535]);
        // The third ends with the second cluster, the last begins in the fourth.
        assert_eq!(users_of(&packer, packer.everything()), [2, 2, 2, 2, 1]);
        let packer = packed(vec![8; 16384]);
        assert_eq!(users_of(&packer, packer.everything()), [8192, 8192]);
        assert!(users_of(&Packer::new(), Packer::new().everything()).is_empty());
    }

    #[test]
    fn a_full_chunk_is_cut_where_least_is_left_unused() {
        let mut packer = packed(vec![50_000; 41]);
        assert!(!packer.is_full());
        packer.push(41, &[41; 50_000]);
        assert!(packer.is_full());
        let cut = packer.best_cut();
        let clusters = cut.bytes / CLUSTER_LENGTH;
        assert!((25..=32).contains(&clusters));
        let unused = |clusters: usize| clusters * CLUSTER_LENGTH % 50_000;
        let least = (25..=32).map(unused).min().unwrap();
        assert_eq!(unused(clusters), least);
        assert_eq!(cut.payloads, cut.bytes / 50_000);

        let left = 42 - cut.payloads;
        packer.remove(cut);
        assert_eq!(packer.len(), left * 50_000);
        let rest = packer.everything();
        let first = packer.payloads(rest)[0];
        assert_eq!((first.guest_cluster, first.start), (42 - left as u64, 0));
        let expected = vec![low_byte(first.guest_cluster); 50_000];
        assert_eq!(packer.bytes(rest)[..50_000], expected);
    }

    #[test]
    fn the_longest_payloads_can_be_cut_too() {
        let packer = packed(vec![65535; 33]);
        assert!(packer.is_full());
        let cut = packer.best_cut();
        assert_eq!(cut.bytes % CLUSTER_LENGTH, 0);
        assert_eq!(cut.payloads, cut.bytes / CLUSTER_LENGTH);
    }
}
