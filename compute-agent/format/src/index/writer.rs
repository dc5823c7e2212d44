//! Writing an index, append only.

use std::io::Write;

use super::{IndexCheckpoint, IndexHeader, IndexRecord, IndexWriteError, RECORDS_PER_BLOCK};
use crate::Digest;

/// Writes an index to a stream; memory is one block.
#[derive(Debug)]
pub struct IndexWriter<W> {
    out: W,
    clusters: u64,
    state: IndexCheckpoint,
    pending: Vec<u8>,
    pending_count: u32,
}

/// What the manifest says of a finished index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexSummary {
    /// Length of the index.
    pub size_bytes: u64,
    /// Records in it.
    pub records: u64,
    /// The digest in its trailer.
    pub digest: Digest,
}

impl<W: Write> IndexWriter<W> {
    /// Begins an index at the current position of `out`, which must be its beginning.
    pub fn create(mut out: W, header: IndexHeader) -> Result<Self, IndexWriteError> {
        let bytes = header.to_bytes();
        out.write_all(&bytes).map_err(IndexWriteError::Io)?;
        let state = IndexCheckpoint {
            length_bytes: IndexHeader::BYTES as u64,
            records: 0,
            last_cluster: None,
            digest: Digest::of(&bytes),
        };
        Ok(Self::at(out, header, state))
    }

    /// Goes on after `checkpoint`; `out` must be truncated to, and stand at, its length.
    pub fn resume(
        out: W,
        header: IndexHeader,
        checkpoint: IndexCheckpoint,
    ) -> Result<Self, IndexWriteError> {
        let clusters = header.cluster_count();
        let is_possible = checkpoint.records <= clusters
            && checkpoint.last_cluster.is_none_or(|last| last < clusters)
            && checkpoint.last_cluster.is_some() == (checkpoint.records > 0)
            && checkpoint.length_bytes >= IndexHeader::BYTES as u64;
        if is_possible {
            Ok(Self::at(out, header, checkpoint))
        } else {
            Err(IndexWriteError::ForeignCheckpoint)
        }
    }

    fn at(out: W, header: IndexHeader, state: IndexCheckpoint) -> Self {
        let pending = Vec::with_capacity(RECORDS_PER_BLOCK * IndexRecord::BYTES);
        Self {
            out,
            clusters: header.cluster_count(),
            state,
            pending,
            pending_count: 0,
        }
    }

    /// Adds a record; its cluster must be greater than every one before.
    pub fn push(&mut self, record: IndexRecord) -> Result<(), IndexWriteError> {
        let cluster = record.cluster;
        if let Some(previous) = self.state.last_cluster.filter(|last| *last >= cluster) {
            return Err(IndexWriteError::OutOfOrder { cluster, previous });
        }
        if cluster >= self.clusters {
            return Err(IndexWriteError::PastTheEnd {
                cluster,
                clusters: self.clusters,
            });
        }
        record.append_to(&mut self.pending);
        self.pending_count += 1;
        self.state.records += 1;
        self.state.last_cluster = Some(cluster);
        if self.pending_count as usize == RECORDS_PER_BLOCK {
            self.write_block()?;
        }
        Ok(())
    }

    /// Closes the current block and says where to go on from. Make the stream durable before
    /// relying on it.
    pub fn checkpoint(&mut self) -> Result<IndexCheckpoint, IndexWriteError> {
        self.write_block()?;
        Ok(self.state.clone())
    }

    /// The stream underneath, to make it durable after [`checkpoint`](Self::checkpoint).
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes the trailer and gives the stream back.
    pub fn finish(mut self) -> Result<(W, IndexSummary), IndexWriteError> {
        self.write_block()?;
        let total = self.state.records.to_le_bytes();
        self.write_sealed(0, &total)?;
        let IndexCheckpoint {
            length_bytes: size_bytes,
            records,
            digest,
            ..
        } = self.state;
        Ok((
            self.out,
            IndexSummary {
                size_bytes,
                records,
                digest,
            },
        ))
    }

    fn write_block(&mut self) -> Result<(), IndexWriteError> {
        if self.pending_count == 0 {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.pending);
        let written = self.write_sealed(self.pending_count, &block);
        block.clear();
        self.pending = block;
        self.pending_count = 0;
        written
    }

    fn write_sealed(&mut self, count: u32, body: &[u8]) -> Result<(), IndexWriteError> {
        let count = count.to_le_bytes();
        let digest = Digest::of_parts(&[self.state.digest.as_bytes(), &count, body]);
        for piece in [&count[..], body, digest.as_bytes()] {
            self.out.write_all(piece).map_err(IndexWriteError::Io)?;
            self.state.length_bytes += piece.len() as u64;
        }
        self.state.digest = digest;
        Ok(())
    }
}
