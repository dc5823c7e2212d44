use std::io::{self, BufReader, Read};

use agent_format::Digest;
use agent_format::index::{IndexReadError, IndexReader};
use agent_qcow2::ReadAt;

use super::error::{JobError, target};
use super::run::Place;

/// Enough for a block's edges: its records are read past the buffer. A long chain has many.
const BUFFER_BYTES: usize = 16 << 10;

/// An index on a target, read from its beginning.
pub(crate) type StoredIndex = IndexReader<BufReader<ReadFrom>>;

/// A stored object as a stream.
pub(crate) struct ReadFrom {
    object: Box<dyn ReadAt>,
    position: u64,
}

impl Read for ReadFrom {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.object.size_bytes().saturating_sub(self.position);
        let length = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let Some(buffer) = buffer.get_mut(..length) else {
            return Ok(0);
        };
        self.object.read_exact_at(buffer, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}

pub(crate) fn open_index(place: &Place) -> Result<StoredIndex, JobError> {
    let object = place
        .target
        .open_image(&place.index)
        .map_err(target("open an index"))?;
    let input = BufReader::with_capacity(
        BUFFER_BYTES,
        ReadFrom {
            object,
            position: 0,
        },
    );
    let image = place.image.to_string();
    IndexReader::open(input).map_err(|source| JobError::ReadIndex { image, source })
}

/// The last words of an index: how many records it has, and the digest of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) records: u64,
    pub(crate) digest: Digest,
}

const TRAILER_BYTES: usize = 4 + 8 + Digest::BYTES;

/// Only looked at: whether the index is whole shows when it is read.
pub(crate) fn read_trailer(place: &Place) -> Result<Trailer, JobError> {
    let object = place
        .target
        .open_image(&place.index)
        .map_err(target("open an index"))?;
    let failed = |source| JobError::ReadIndex {
        image: place.image.to_string(),
        source,
    };
    let size_bytes = object.size_bytes();
    let truncated = || failed(IndexReadError::Truncated { offset: size_bytes });
    let offset = size_bytes
        .checked_sub(TRAILER_BYTES as u64)
        .ok_or_else(truncated)?;
    let mut bytes = [0; TRAILER_BYTES];
    object
        .read_exact_at(&mut bytes, offset)
        .map_err(|source| failed(IndexReadError::Io { offset, source }))?;
    let fields = || {
        let (_, rest) = bytes.split_first_chunk::<4>()?;
        let (records, rest) = rest.split_first_chunk()?;
        Some((u64::from_le_bytes(*records), *rest.first_chunk()?))
    };
    let (records, digest) = fields().ok_or_else(truncated)?;
    Ok(Trailer {
        records,
        digest: Digest::from(digest),
    })
}
