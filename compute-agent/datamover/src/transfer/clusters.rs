//! From the chunks of a disk reader to whole clusters, each known to be zero or hashed.

use std::ops::Range;

use agent_blocks::{Buffer, Chunk};
use agent_format::Digest;
use agent_qcow2::CLUSTER_BYTES;

use super::error::JobError;

pub(crate) const CLUSTER: usize = 1 << 16;
const _: () = assert!(CLUSTER as u64 == CLUSTER_BYTES);
static ZEROES: [u8; CLUSTER] = [0; CLUSTER];

/// Whole clusters in guest order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Their bytes, and for each its digest, or none if it is zero.
    Data {
        first: u64,
        bytes: Buffer,
        digests: Vec<Option<Digest>>,
    },
    /// Known to be zero.
    Zero(Range<u64>),
}

/// Joins what a server cut inside of a cluster (a hole of the storage may be smaller). Only the disk's
/// last cluster may be short.
pub(crate) struct Assembler {
    size_bytes: u64,
    /// Begins at a cluster's beginning; shorter than a cluster.
    open: Vec<u8>,
    position: u64,
}

impl Assembler {
    pub(crate) fn new(size_bytes: u64) -> Self {
        Self {
            size_bytes,
            open: Vec::new(),
            position: 0,
        }
    }

    /// The clusters that this chunk completes.
    pub(crate) fn push(&mut self, chunk: Chunk) -> Result<Vec<Piece>, JobError> {
        let mut pieces = Vec::new();
        match chunk {
            Chunk::Data { offset, bytes } => {
                self.go_to(offset)?;
                self.push_data(bytes, &mut pieces);
            }
            Chunk::Zero { offset, length } => {
                self.go_to(offset)?;
                self.push_zero(length, &mut pieces);
            }
        }
        Ok(pieces)
    }

    /// Nothing must be left over.
    pub(crate) fn finish(self) -> Result<(), JobError> {
        if self.open.is_empty() {
            Ok(())
        } else {
            Err(torn(self.position))
        }
    }

    fn go_to(&mut self, offset: u64) -> Result<(), JobError> {
        let follows = offset == self.position;
        let begins = self.open.is_empty() && offset.is_multiple_of(CLUSTER_BYTES);
        if !(follows || begins && offset > self.position) {
            return Err(torn(offset));
        }
        self.position = offset;
        Ok(())
    }

    fn push_data(&mut self, mut bytes: Buffer, pieces: &mut Vec<Piece>) {
        if !self.open.is_empty() {
            let missing = (CLUSTER - self.open.len()).min(bytes.len());
            self.open.extend(bytes.get(..missing).unwrap_or_default());
            bytes.advance(missing);
            self.position += missing as u64;
            self.emit_open(pieces);
        }
        let end = self.position + bytes.len() as u64;
        let whole = if end == self.size_bytes {
            bytes.len()
        } else {
            bytes.len() - bytes.len() % CLUSTER
        };
        self.open.extend(bytes.get(whole..).unwrap_or_default());
        bytes.truncate(whole);
        if !bytes.is_empty() {
            let first = self.position / CLUSTER_BYTES;
            pieces.push(data(first, bytes));
        }
        self.position = end;
    }

    fn push_zero(&mut self, length: u64, pieces: &mut Vec<Piece>) {
        let end = self.position + length;
        while self.position < end {
            let left = end - self.position;
            let is_whole = left >= CLUSTER_BYTES || end == self.size_bytes;
            if self.open.is_empty() && is_whole {
                let last = if end == self.size_bytes {
                    end.div_ceil(CLUSTER_BYTES)
                } else {
                    end / CLUSTER_BYTES
                };
                pieces.push(Piece::Zero(self.position / CLUSTER_BYTES..last));
                self.position = (last * CLUSTER_BYTES).min(end);
                continue;
            }
            let part = left.min((CLUSTER - self.open.len()) as u64);
            self.open.resize(
                self.open.len() + usize::try_from(part).unwrap_or(CLUSTER),
                0,
            );
            self.position += part;
            self.emit_open(pieces);
        }
    }

    fn emit_open(&mut self, pieces: &mut Vec<Piece>) {
        if self.open.len() == CLUSTER || self.position == self.size_bytes {
            let bytes = std::mem::take(&mut self.open);
            let first = (self.position - bytes.len() as u64) / CLUSTER_BYTES;
            pieces.push(data(first, bytes.into()));
        }
    }
}

fn torn(offset: u64) -> JobError {
    JobError::Refused(format!(
        "the disk's reader left a cluster torn near offset {offset}"
    ))
}

fn data(first: u64, bytes: Buffer) -> Piece {
    let digests = bytes.chunks(CLUSTER).map(digest_unless_zero).collect();
    Piece::Data {
        first,
        bytes,
        digests,
    }
}

fn digest_unless_zero(cluster: &[u8]) -> Option<Digest> {
    let is_zero = ZEROES
        .get(..cluster.len())
        .is_some_and(|zeroes| zeroes == cluster);
    (!is_zero).then(|| Digest::of_cluster(cluster, CLUSTER))
}

#[cfg(test)]
mod tests {
    use agent_blocks::Chunk;
    use agent_format::Digest;

    use super::{Assembler, CLUSTER, Piece};

    const C: u64 = CLUSTER as u64;

    fn assemble(size_bytes: u64, chunks: Vec<Chunk>) -> Vec<Piece> {
        let mut assembler = Assembler::new(size_bytes);
        let pieces = chunks
            .into_iter()
            .flat_map(|chunk| assembler.push(chunk).unwrap())
            .collect();
        assembler.finish().unwrap();
        pieces
    }

    fn whole(first: u64, bytes: Vec<u8>) -> Piece {
        super::data(first, bytes.into())
    }

    #[test]
    fn a_cluster_that_was_cut_is_joined() {
        let mut expected = vec![1; 1000];
        expected.resize(5000, 0);
        expected.resize(CLUSTER, 2);
        let pieces = assemble(
            10 * C,
            vec![
                Chunk::Data {
                    offset: 3 * C,
                    bytes: vec![1; 1000].into(),
                },
                Chunk::Zero {
                    offset: 3 * C + 1000,
                    length: 4000,
                },
                Chunk::Data {
                    offset: 3 * C + 5000,
                    bytes: vec![2; CLUSTER - 5000].into(),
                },
            ],
        );
        assert_eq!(pieces, [whole(3, expected)]);
    }

    #[test]
    fn zeroes_are_found_and_kept_as_ranges() {
        let mut bytes = vec![0; CLUSTER];
        bytes.extend(vec![7; CLUSTER]);
        let pieces = assemble(
            10 * C + 5,
            vec![
                Chunk::Data {
                    offset: 0,
                    bytes: bytes.into(),
                },
                Chunk::Zero {
                    offset: 2 * C,
                    length: 8 * C + 5,
                },
            ],
        );
        let [Piece::Data { digests, .. }, zero] = pieces.as_slice() else {
            panic!("{pieces:?}");
        };
        assert_eq!(digests, &[None, Some(Digest::of(&vec![7; CLUSTER]))]);
        assert_eq!(zero, &Piece::Zero(2..11));
    }

    #[test]
    fn a_zero_run_that_ends_inside_of_a_cluster_is_completed_by_data() {
        let pieces = assemble(
            4 * C,
            vec![
                Chunk::Zero {
                    offset: 0,
                    length: C + 10,
                },
                Chunk::Data {
                    offset: C + 10,
                    bytes: vec![1; CLUSTER - 10].into(),
                },
            ],
        );
        let mut expected = vec![0; 10];
        expected.resize(CLUSTER, 1);
        assert_eq!(pieces, [Piece::Zero(0..1), whole(1, expected)]);
    }

    #[test]
    fn the_last_cluster_may_be_short_and_no_other() {
        let bytes = vec![1; CLUSTER + 9];
        let pieces = assemble(
            C + 9,
            vec![Chunk::Data {
                offset: 0,
                bytes: bytes.clone().into(),
            }],
        );
        assert_eq!(pieces, [whole(0, bytes)]);
        let mut assembler = Assembler::new(10 * C);
        assembler
            .push(Chunk::Data {
                offset: 0,
                bytes: vec![1; 9].into(),
            })
            .unwrap();
        assert!(
            assembler
                .push(Chunk::Data {
                    offset: C,
                    bytes: vec![1; 9].into()
                })
                .is_err()
        );
        assert!(assembler.finish().is_err());
    }
}
