//! Who owns which cluster in one range of the disk.

use std::ops::Range;

use super::image::Place;
use super::{Chain, ExtentKind, ReadError};

/// The owners of the clusters that one L2 table maps.
#[derive(Debug)]
pub(super) struct RangeMap {
    range: Range<u64>,
    cluster_size: u64,
    owners: Vec<Owner>,
}

#[derive(Debug, Clone, Copy)]
enum Owner {
    Unknown,
    Zero,
    Data {
        image: u32,
        offset: u64,
    },
    Compressed {
        image: u32,
        offset: u64,
        length: u32,
    },
}

impl RangeMap {
    /// Finds the owners in the range that holds `offset`, newest image first, and no further than
    /// until every cluster has one.
    pub(super) fn read(chain: &Chain, offset: u64) -> Result<Self, ReadError> {
        let cluster_size = chain.cluster_size;
        let per_table = cluster_size * (cluster_size / 8);
        let l1_index = offset / per_table;
        let start = l1_index * per_table;
        let end = chain.virtual_size.min(start.saturating_add(per_table));
        let clusters = in_memory(end.saturating_sub(start).div_ceil(cluster_size));
        let mut map = Self {
            range: start..end,
            cluster_size,
            owners: vec![Owner::Unknown; clusters],
        };

        let mut table = vec![0; in_memory(cluster_size)];
        let mut unknown = clusters;
        for (index, image) in (0u32..).zip(&chain.images) {
            // Each image sees less or as much as the one above it.
            if unknown == 0 || image.visible_end() <= start {
                break;
            }
            if image.read_table(l1_index, &mut table)? {
                unknown -= map.take_from(chain, index, l1_index, &table)?;
            }
        }
        Ok(map)
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Gives image `index` what nobody newer owns; says how many clusters that were.
    fn take_from(
        &mut self,
        chain: &Chain,
        index: u32,
        l1_index: u64,
        table: &[u8],
    ) -> Result<usize, ReadError> {
        let image = chain.image(index as usize)?;
        let (entries, _) = table.as_chunks::<8>();
        let mut taken = 0;
        let mut guest_offset = self.range.start;
        for (owner, entry) in self.owners.iter_mut().zip(entries) {
            let wanted = image
                .visible_end()
                .saturating_sub(guest_offset)
                .min(self.cluster_size);
            guest_offset += self.cluster_size;
            if wanted == 0 {
                break;
            }
            if !matches!(owner, Owner::Unknown) {
                continue;
            }
            let place = image
                .place(u64::from_be_bytes(*entry), wanted)
                .map_err(|what| image.damaged(image.l1_entry_offset(l1_index), what))?;
            *owner = match place {
                Place::NotHere => continue,
                Place::Zero => Owner::Zero,
                Place::Data { offset } => Owner::Data {
                    image: index,
                    offset,
                },
                Place::Compressed { offset, length } => Owner::Compressed {
                    image: index,
                    offset,
                    length,
                },
            };
            taken += 1;
        }
        Ok(taken)
    }

    /// Numbers of the clusters that an image declares to be zero.
    pub(super) fn declared_zero(&self) -> impl Iterator<Item = u64> {
        let first = self.range.start / self.cluster_size;
        let owners = (first..).zip(&self.owners);
        owners.filter_map(|(cluster, owner)| matches!(owner, Owner::Zero).then_some(cluster))
    }

    /// What is at `offset`, and up to where it is the same thing, at most to the cluster's end.
    pub(super) fn piece(&self, chain: &Chain, offset: u64) -> Option<(ExtentKind, u64)> {
        if !self.range.contains(&offset) {
            return None;
        }
        let within = (offset - self.range.start) % self.cluster_size;
        let end = (offset - within + self.cluster_size).min(self.range.end);
        let owner = self
            .owners
            .get(in_memory((offset - self.range.start) / self.cluster_size))?;
        let (image, kind) = match *owner {
            Owner::Unknown | Owner::Zero => return Some((ExtentKind::Zero, end)),
            Owner::Data { image, offset } => {
                let image = image as usize;
                (
                    image,
                    ExtentKind::Data {
                        image,
                        host_offset: offset + within,
                    },
                )
            }
            Owner::Compressed {
                image,
                offset,
                length,
            } => {
                let image = image as usize;
                let kind = ExtentKind::Compressed {
                    image,
                    host_offset: offset,
                    host_length: length,
                };
                (image, kind)
            }
        };
        let visible_end = chain.images.get(image)?.visible_end();
        if offset >= visible_end {
            return Some((ExtentKind::Zero, end));
        }
        Some((kind, end.min(visible_end)))
    }
}

/// For numbers bounded by the largest L2 table, 2 MiB.
fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
