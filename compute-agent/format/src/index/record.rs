//! One record: a cluster and what it holds.

use crate::Digest;

/// What an image holds for one guest cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRecord {
    /// Guest offset divided by the cluster size.
    pub cluster: u64,
    /// What is there.
    pub content: ClusterContent,
}

/// What is in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterContent {
    /// Data with this digest ([`Digest::of_cluster`]).
    Data(Digest),
    /// Zeroes, declared without data.
    Zero,
}

const KIND_DATA: u8 = 0;
const KIND_ZERO: u8 = 1;

impl IndexRecord {
    pub(super) const BYTES: usize = 8 + 1 + Digest::BYTES;

    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        let (kind, digest) = match self.content {
            ClusterContent::Data(digest) => (KIND_DATA, *digest.as_bytes()),
            ClusterContent::Zero => (KIND_ZERO, [0; Digest::BYTES]),
        };
        out.extend(self.cluster.to_le_bytes());
        out.push(kind);
        out.extend(digest);
    }

    /// None for a kind that does not exist.
    pub(super) fn parse(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (cluster, rest) = bytes.split_first_chunk()?;
        let (kind, digest) = rest.split_first()?;
        let content = match *kind {
            KIND_DATA => ClusterContent::Data(Digest::from(*digest.first_chunk()?)),
            KIND_ZERO if digest.iter().all(|byte| *byte == 0) => ClusterContent::Zero,
            _ => return None,
        };
        Some(Self {
            cluster: u64::from_le_bytes(*cluster),
            content,
        })
    }
}
