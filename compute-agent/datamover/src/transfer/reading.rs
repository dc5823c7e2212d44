use std::io::{self, BufReader, Read};

use agent_format::index::IndexReader;
use agent_qcow2::ReadAt;

use super::error::{JobError, target};
use super::run::Place;

const BUFFER_BYTES: usize = 256 << 10;

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
