//! Joining neighbours.

use super::Extent;

/// Joins extents of one kind that touch or overlap. The input ascends by offset.
pub fn merge<I, E>(extents: I) -> Merge<I::IntoIter, E>
where
    I: IntoIterator<Item = Result<Extent, E>>,
{
    Merge {
        extents: extents.into_iter(),
        held: None,
        failed: None,
    }
}

/// See [`merge`].
pub struct Merge<I, E> {
    extents: I,
    held: Option<Extent>,
    failed: Option<E>,
}

impl<I, E> Iterator for Merge<I, E>
where
    I: Iterator<Item = Result<Extent, E>>,
{
    type Item = Result<Extent, E>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        loop {
            let next = match self.extents.next() {
                Some(Ok(extent)) => extent,
                Some(Err(error)) => match self.held.take() {
                    // What came before the failure is still told, then the failure.
                    Some(held) => {
                        self.failed = Some(error);
                        return Some(Ok(held));
                    }
                    None => return Some(Err(error)),
                },
                None => return self.held.take().map(Ok),
            };
            let Some(held) = self.held else {
                self.held = Some(next);
                continue;
            };
            if held.kind == next.kind && next.offset <= held.end() {
                self.held = held.between(held.offset, held.end().max(next.end()));
                continue;
            }
            self.held = Some(next);
            return Some(Ok(held));
        }
    }
}
