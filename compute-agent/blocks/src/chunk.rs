//! Cutting extents into the pieces that are asked for at once.

use crate::{BlocksError, Buffer, ErrorKind, Extent, ExtentKind, extent::Clipped};

/// A piece of a disk as it leaves a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes as read; they may well be all zero.
    Data {
        /// Where the first byte belongs.
        offset: u64,
        /// At most `chunk_bytes` of the plan.
        bytes: Buffer,
    },
    /// A range known to read as zeroes; nothing was transferred for it.
    Zero {
        /// Where the range begins.
        offset: u64,
        /// Not limited by `chunk_bytes`.
        length: u64,
    },
}

/// How much is asked for at once, and with that how much memory a reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPlan {
    /// Chunks end at multiples of this: give a multiple of the cluster size, and no cluster of an
    /// extent rounded to clusters is torn. The server's own limit may make chunks smaller.
    pub chunk_bytes: u32,
    /// Requests in flight. At least 1; qemu-nbd works on 16 of a connection at a time.
    pub window: usize,
}

impl Default for ReadPlan {
    /// 1 MiB chunks, 16 in flight.
    fn default() -> Self {
        Self {
            chunk_bytes: 1 << 20,
            window: 16,
        }
    }
}

/// Cuts extents at multiples of `chunk_bytes` (data) and drops nothing (zero), refusing extents
/// that leave the disk or go backwards.
pub(crate) struct Pieces<I> {
    extents: I,
    size_bytes: u64,
    chunk_bytes: u64,
    current: Option<Extent>,
    position: u64,
}

impl<I> Pieces<I>
where
    I: Iterator<Item = Result<Extent, BlocksError>>,
{
    pub(crate) fn new(extents: I, size_bytes: u64, chunk_bytes: u32) -> Self {
        let chunk_bytes = u64::from(chunk_bytes.max(1));
        Self {
            extents,
            size_bytes,
            chunk_bytes,
            current: None,
            position: 0,
        }
    }

    fn next_extent(&mut self) -> Option<Result<Extent, BlocksError>> {
        let extent = match self.extents.next()? {
            Ok(extent) => extent,
            Err(error) => return Some(Err(error)),
        };
        let fits = extent.clip(0..self.size_bytes) == Clipped::Whole;
        if !fits || extent.offset < self.position {
            let doing = format!(
                "cut {extent} of a disk of {} bytes after {}",
                self.size_bytes, self.position
            );
            return Some(Err(BlocksError::new(ErrorKind::Invalid, doing)));
        }
        self.position = extent.end();
        Some(Ok(extent))
    }
}

impl<I> Iterator for Pieces<I>
where
    I: Iterator<Item = Result<Extent, BlocksError>>,
{
    type Item = Result<Extent, BlocksError>;

    fn next(&mut self) -> Option<Self::Item> {
        let extent = match self.current.take() {
            Some(extent) => extent,
            None => match self.next_extent()? {
                Ok(extent) => extent,
                Err(error) => return Some(Err(error)),
            },
        };
        if extent.kind == ExtentKind::Zero {
            return Some(Ok(extent));
        }
        let to_boundary = self.chunk_bytes - extent.offset % self.chunk_bytes;
        if extent.length <= to_boundary {
            return Some(Ok(extent));
        }
        self.current = Some(Extent::data(
            extent.offset + to_boundary,
            extent.length - to_boundary,
        ));
        Some(Ok(Extent::data(extent.offset, to_boundary)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(extents: &[Extent], size_bytes: u64) -> Vec<Result<Extent, ErrorKind>> {
        let extents = extents.iter().copied().map(Ok);
        Pieces::new(extents, size_bytes, 100)
            .map(|piece| piece.map_err(|e| e.kind()))
            .collect()
    }

    #[test]
    fn data_is_cut_at_multiples_of_the_chunk_and_zero_is_not() {
        let cut = pieces(&[Extent::data(50, 200), Extent::zero(300, 500)], 1000);
        let want = [
            Extent::data(50, 50),
            Extent::data(100, 100),
            Extent::data(200, 50),
            Extent::zero(300, 500),
        ];
        assert_eq!(cut, want.map(Ok));
    }

    #[test]
    fn an_extent_beyond_the_disk_is_refused() {
        assert_eq!(
            pieces(&[Extent::data(950, 51)], 1000),
            [Err(ErrorKind::Invalid)]
        );
        assert_eq!(
            pieces(&[Extent::zero(u64::MAX, 2)], 1000),
            [Err(ErrorKind::Invalid)]
        );
        assert_eq!(
            pieces(&[Extent::data(0, 0)], 1000),
            [Err(ErrorKind::Invalid)]
        );
    }

    #[test]
    fn an_extent_that_goes_backwards_is_refused() {
        let cut = pieces(&[Extent::zero(500, 100), Extent::data(599, 1)], 1000);
        assert_eq!(cut, [Ok(Extent::zero(500, 100)), Err(ErrorKind::Invalid)]);
    }
}
