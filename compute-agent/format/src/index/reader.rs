//! Reading an index from its beginning, in constant memory.

use std::io::{self, Read};

use super::{IndexHeader, IndexReadError, IndexRecord, IndexSummary, RECORDS_PER_BLOCK};
use crate::Digest;

/// Reads an index as an iterator of its records, in guest order.
///
/// A record is handed out only after the digest of its block held. After the last record comes
/// the trailer: only when the iterator has ended without an error was the index whole.
#[derive(Debug)]
pub struct IndexReader<R> {
    input: R,
    header: IndexHeader,
    offset: u64,
    digest: Digest,
    block: Vec<u8>,
    next_in_block: usize,
    block_offset: u64,
    records: u64,
    last_cluster: Option<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Failed,
    Finished,
}

impl<R: Read> IndexReader<R> {
    /// Reads the header. `input` is best buffered: it is read in small pieces.
    pub fn open(mut input: R) -> Result<Self, IndexReadError> {
        let mut bytes = [0; IndexHeader::BYTES];
        read_exact(&mut input, &mut bytes, 0)?;
        Ok(Self {
            input,
            header: IndexHeader::parse(&bytes)?,
            offset: IndexHeader::BYTES as u64,
            digest: Digest::of(&bytes),
            block: Vec::new(),
            next_in_block: 0,
            block_offset: 0,
            records: 0,
            last_cluster: None,
            state: State::Reading,
        })
    }

    /// What the index belongs to.
    pub fn header(&self) -> &IndexHeader {
        &self.header
    }

    /// What the whole index is, to compare with the manifest; none before its end was reached.
    pub fn summary(&self) -> Option<IndexSummary> {
        (self.state == State::Finished).then_some(IndexSummary {
            size_bytes: self.offset,
            records: self.records,
            digest: self.digest,
        })
    }

    /// Where the block of the record that was handed out last begins.
    pub(super) fn block_offset(&self) -> u64 {
        self.block_offset
    }

    fn next_record(&mut self) -> Result<Option<IndexRecord>, IndexReadError> {
        let rest = self.block.get(self.next_in_block..).unwrap_or_default();
        let Some((bytes, _)) = rest.split_first_chunk() else {
            return if self.read_block()? {
                self.next_record()
            } else {
                Ok(None)
            };
        };
        let offset = self.block_offset + 4 + self.next_in_block as u64;
        let record = IndexRecord::parse(bytes).ok_or(IndexReadError::BadRecord { offset })?;
        let cluster = record.cluster;
        if self.last_cluster.is_some_and(|last| last >= cluster) {
            return Err(IndexReadError::OutOfOrder { offset, cluster });
        }
        if cluster >= self.header.cluster_count() {
            return Err(IndexReadError::BadRecord { offset });
        }
        self.next_in_block += IndexRecord::BYTES;
        self.records += 1;
        self.last_cluster = Some(cluster);
        Ok(Some(record))
    }

    /// Brings the next block into memory; false after the trailer.
    fn read_block(&mut self) -> Result<bool, IndexReadError> {
        self.block_offset = self.offset;
        let mut count = [0; 4];
        self.fill(&mut count)?;
        let records = u32::from_le_bytes(count) as usize;
        if records > RECORDS_PER_BLOCK {
            return Err(IndexReadError::BadCount {
                offset: self.block_offset,
            });
        }
        let length = if records == 0 {
            8
        } else {
            records * IndexRecord::BYTES
        };
        let mut body = std::mem::take(&mut self.block);
        body.resize(length, 0);
        self.fill(&mut body)?;
        let mut digest = [0; Digest::BYTES];
        self.fill(&mut digest)?;
        let expected = Digest::of_parts(&[self.digest.as_bytes(), &count, &body]);
        if expected != Digest::from(digest) {
            return Err(IndexReadError::BadDigest {
                offset: self.block_offset,
            });
        }
        self.digest = expected;
        self.next_in_block = 0;
        if records == 0 {
            self.end(&body)?;
            return Ok(false);
        }
        self.block = body;
        Ok(true)
    }

    fn end(&mut self, total: &[u8]) -> Result<(), IndexReadError> {
        let offset = self.block_offset;
        let total = total
            .first_chunk()
            .ok_or(IndexReadError::Truncated { offset })?;
        let (counted, found) = (u64::from_le_bytes(*total), self.records);
        if counted != found {
            return Err(IndexReadError::WrongTotal {
                offset,
                counted,
                found,
            });
        }
        let offset = self.offset;
        let trailing = read_some(&mut self.input, &mut [0])
            .map_err(|source| IndexReadError::Io { offset, source })?;
        if trailing > 0 {
            return Err(IndexReadError::TrailingBytes { offset });
        }
        self.state = State::Finished;
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), IndexReadError> {
        read_exact(&mut self.input, buffer, self.offset)?;
        self.offset += buffer.len() as u64;
        Ok(())
    }
}

impl<R: Read> Iterator for IndexReader<R> {
    type Item = Result<IndexRecord, IndexReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Reading {
            return None;
        }
        let next = self.next_record();
        if next.is_err() {
            self.state = State::Failed;
        }
        next.transpose()
    }
}

fn read_exact(input: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<(), IndexReadError> {
    input
        .read_exact(buffer)
        .map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => IndexReadError::Truncated { offset },
            _ => IndexReadError::Io { offset, source },
        })
}

fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
