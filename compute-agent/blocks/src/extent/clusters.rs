//! Rounding to the clusters of a backup image.
//!
//! A cluster that is zeroed in part keeps bytes in its other part, so it has to be read: data is
//! rounded outwards, zero inwards, and the cut-off edges of zero become data. The device's end counts
//! as the end of its last cluster.

use super::{Extent, ExtentKind, Merge, merge};

/// Whole clusters of `cluster_bytes` (a power of two) of a disk of `size_bytes`: `Data` for every
/// cluster that an extent touches, `Zero` only where zero extents cover all of it. The input ascends
/// and does not overlap; the output too, and its ends are at clusters or at the end of the device.
pub fn to_clusters<I, E>(
    extents: I,
    cluster_bytes: u64,
    size_bytes: u64,
) -> Clusters<I::IntoIter, E>
where
    I: IntoIterator<Item = Result<Extent, E>>,
{
    let rounded = Rounded {
        extents: merge(extents),
        cluster_bytes,
        size_bytes,
        held: [None, None],
    };
    Clusters(merge(rounded))
}

/// See [`to_clusters`].
pub struct Clusters<I, E>(Merge<Rounded<I, E>, E>);

impl<I, E> Iterator for Clusters<I, E>
where
    I: Iterator<Item = Result<Extent, E>>,
{
    type Item = Result<Extent, E>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// Rounded extents that ascend and may share one cluster of data with their neighbour.
struct Rounded<I, E> {
    extents: Merge<I, E>,
    cluster_bytes: u64,
    size_bytes: u64,
    /// Zero's inner part and its edge behind, still to be told (in reverse).
    held: [Option<Extent>; 2],
}

impl<I, E> Rounded<I, E> {
    fn down(&self, offset: u64) -> u64 {
        offset & !(self.cluster_bytes.max(1) - 1)
    }

    fn up(&self, offset: u64) -> u64 {
        let down = self.down(offset);
        let up = if down < offset {
            down.saturating_add(self.cluster_bytes)
        } else {
            down
        };
        up.min(self.size_bytes)
    }

    /// The parts of a zero extent: edge before, whole clusters, edge behind.
    fn zero_parts(&self, zero: Extent) -> [Option<Extent>; 3] {
        let end = zero.end().min(self.size_bytes);
        let inner_start = self.up(zero.offset);
        let inner_end = if end == self.size_bytes {
            end
        } else {
            self.down(end)
        };
        let data = Extent {
            kind: ExtentKind::Data,
            ..zero
        };
        if inner_start > inner_end {
            // Within one cluster.
            return [
                data.between(self.down(zero.offset), self.up(end)),
                None,
                None,
            ];
        }
        [
            data.between(self.down(zero.offset), inner_start),
            zero.between(inner_start, inner_end),
            data.between(inner_end, self.up(end)),
        ]
    }
}

impl<I, E> Iterator for Rounded<I, E>
where
    I: Iterator<Item = Result<Extent, E>>,
{
    type Item = Result<Extent, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(part) = self.held.iter_mut().rev().find_map(Option::take) {
                return Some(Ok(part));
            }
            let extent = match self.extents.next()? {
                Ok(extent) => extent,
                Err(error) => return Some(Err(error)),
            };
            let first = match extent.kind {
                ExtentKind::Data => extent.between(self.down(extent.offset), self.up(extent.end())),
                ExtentKind::Zero => {
                    let [before, inner, behind] = self.zero_parts(extent);
                    self.held = [behind, inner];
                    before
                }
            };
            if let Some(part) = first {
                return Some(Ok(part));
            }
        }
    }
}
