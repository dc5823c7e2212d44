//! Taking away ranges, for instance those that are already done.

use std::{iter::Peekable, ops::Range};

use super::Extent;

/// What remains of the extents without `ranges` (ascending, not overlapping).
pub fn subtract<I, J>(extents: I, ranges: J) -> Subtract<I::IntoIter, J::IntoIter>
where
    I: IntoIterator,
    J: IntoIterator<Item = Range<u64>>,
{
    Subtract {
        extents: extents.into_iter(),
        ranges: ranges.into_iter().peekable(),
        rest: None,
    }
}

/// See [`subtract`].
pub struct Subtract<I, J>
where
    J: Iterator<Item = Range<u64>>,
{
    extents: I,
    ranges: Peekable<J>,
    rest: Option<Extent>,
}

impl<I, J> Subtract<I, J>
where
    J: Iterator<Item = Range<u64>>,
{
    /// What comes before the next range, keeping what comes behind it.
    fn cut(&mut self, extent: Extent) -> Option<Extent> {
        while self
            .ranges
            .next_if(|range| range.end <= extent.offset)
            .is_some()
        {}
        let Some(range) = self
            .ranges
            .peek()
            .filter(|range| range.start < extent.end())
        else {
            return Some(extent);
        };
        self.rest = extent.between(range.end, extent.end());
        extent.between(extent.offset, range.start)
    }
}

impl<I, J, E> Iterator for Subtract<I, J>
where
    I: Iterator<Item = Result<Extent, E>>,
    J: Iterator<Item = Range<u64>>,
{
    type Item = Result<Extent, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let extent = match self.rest.take() {
                Some(rest) => rest,
                None => match self.extents.next()? {
                    Ok(extent) => extent,
                    Err(error) => return Some(Err(error)),
                },
            };
            if let Some(left) = self.cut(extent) {
                return Some(Ok(left));
            }
        }
    }
}
