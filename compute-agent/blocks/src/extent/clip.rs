//! Cutting away what lies outside of a range.

use std::ops::Range;

use super::Extent;

/// What a range leaves of an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clipped {
    /// All of it.
    Whole,
    /// This part.
    Part(Extent),
    /// Nothing (an empty extent too).
    Nothing,
}

impl Extent {
    /// What `range` leaves of the extent.
    pub fn clip(self, range: Range<u64>) -> Clipped {
        if self
            .offset
            .checked_add(self.length)
            .is_some_and(|end| end <= range.end)
            && self.offset >= range.start
            && self.length > 0
        {
            return Clipped::Whole;
        }
        match self.between(self.offset.max(range.start), self.end().min(range.end)) {
            Some(part) => Clipped::Part(part),
            None => Clipped::Nothing,
        }
    }
}

/// Only what lies within `range`, for instance what is left to do after a restart.
pub fn clip<I>(extents: I, range: Range<u64>) -> Clip<I::IntoIter>
where
    I: IntoIterator,
{
    Clip {
        extents: extents.into_iter(),
        range,
    }
}

/// See [`clip`].
pub struct Clip<I> {
    extents: I,
    range: Range<u64>,
}

impl<I, E> Iterator for Clip<I>
where
    I: Iterator<Item = Result<Extent, E>>,
{
    type Item = Result<Extent, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let extent = match self.extents.next()? {
                Ok(extent) => extent,
                Err(error) => return Some(Err(error)),
            };
            // The rest is read to its end all the same: that is where a stream tells its failure.
            match extent.clip(self.range.clone()) {
                Clipped::Whole => return Some(Ok(extent)),
                Clipped::Part(part) => return Some(Ok(part)),
                Clipped::Nothing => {}
            }
        }
    }
}
