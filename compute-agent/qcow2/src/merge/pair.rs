//! The two images of a merge, and who of them holds what.

use std::ops::Range;

use super::cell::{Cell, Packed};
use super::side::Side;
use super::{Boundary, MergeError};
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, L2_ENTRIES};
use crate::{ChainImage, Decompressor, Header};

/// An image and the one that builds upon it.
pub struct MergePair {
    pub(super) parent: Side,
    pub(super) successor: Side,
    /// Clusters that the merged image must declare to be zero: the disk has them again after it had been
    /// smaller, and what the parent builds upon may hold bytes there.
    gap: Range<u64>,
    boundary: Option<Boundary>,
}

/// Where the merged image has a cluster from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Nothing,
    Zero,
    /// The parent's entry stays.
    Parent(u64),
    /// The successor's data at this offset.
    Data(u64),
    Packed(Packed),
    Boundary,
}

/// The clusters that one L2 table maps.
pub(super) struct MergedTable {
    pub(super) sources: Vec<Source>,
    /// What the parent held and the merged image does not need.
    pub(super) superseded: Vec<Cell>,
}

impl MergePair {
    /// Opens both; `grandparent_size` is the size of the disk in the image that the parent builds upon,
    /// if it builds upon one. That `successor` builds upon `parent` is for the caller to see to.
    pub fn open(
        parent: ChainImage,
        successor: ChainImage,
        grandparent_size: Option<u64>,
    ) -> Result<Self, MergeError> {
        let (parent, successor) = (Side::open(parent)?, Side::open(successor)?);
        if parent.header.backing_name.is_some() != grandparent_size.is_some() {
            return Err(parent.unsupported("what it builds upon is not what was given"));
        }
        let below = grandparent_size.unwrap_or_default();
        let new_end = successor.header.virtual_size.min(below);
        let gap_start = parent.header.virtual_size.div_ceil(CLUSTER_BYTES);
        let mut pair = Self {
            parent,
            successor,
            gap: gap_start..new_end.div_ceil(CLUSTER_BYTES).max(gap_start),
            boundary: None,
        };
        pair.boundary = pair.find_boundary()?.map(|cluster| Boundary {
            cluster,
            bytes: None,
        });
        Ok(pair)
    }

    /// The header of the image that goes.
    pub fn parent_header(&self) -> &Header {
        &self.parent.header
    }

    /// The header of the image that stays.
    pub fn successor_header(&self) -> &Header {
        &self.successor.header
    }

    /// Length of the file of the image that goes.
    pub fn parent_bytes(&self) -> u64 {
        self.parent.size_bytes()
    }

    /// Length of the file of the image that stays.
    pub fn successor_bytes(&self) -> u64 {
        self.successor.size_bytes()
    }

    /// Clusters that the merged image declares to be zero though neither of the two says so.
    pub fn declared_zero(&self) -> Range<u64> {
        self.gap.clone()
    }

    /// The cluster in which the disk ended when it had another size, if the successor does not hold it:
    /// what it shows is neither what the parent holds nor zero. It must be read through the whole chain
    /// and be given with [`set_boundary`](Self::set_boundary) before anything is merged.
    pub fn boundary(&self) -> Option<u64> {
        self.boundary.as_ref().map(|boundary| boundary.cluster)
    }

    /// What the chain shows in the cluster [`boundary`](Self::boundary), up to the disk's end.
    pub fn set_boundary(&mut self, mut bytes: Vec<u8>) {
        bytes.resize(CLUSTER_LENGTH, 0);
        if let Some(boundary) = &mut self.boundary {
            boundary.bytes = Some(bytes);
        }
    }

    /// What the parent itself holds in a cluster, if it holds data there.
    pub fn parent_cluster(&self, cluster: u64) -> Result<Option<Vec<u8>>, MergeError> {
        let (l1_index, at) = position(cluster);
        let Some(table) = self.parent.table(l1_index)? else {
            return Ok(None);
        };
        let mut bytes = vec![0; CLUSTER_LENGTH];
        match self.cell(&self.parent, &table, at, l1_index)? {
            Cell::Absent | Cell::Zero { .. } => return Ok(None),
            Cell::Data(offset) => self.parent.read(&mut bytes, offset)?,
            Cell::Packed(packed) => {
                self.parent
                    .unpack(packed, &mut Decompressor::new(), &mut bytes)?;
            }
        }
        Ok(Some(bytes))
    }

    fn find_boundary(&self) -> Result<Option<u64>, MergeError> {
        let (before, after) = self.sizes();
        let end = before.min(after);
        let cluster = end / CLUSTER_BYTES;
        if before == after || end.is_multiple_of(CLUSTER_BYTES) {
            return Ok(None);
        }
        let (l1_index, at) = position(cluster);
        let held = match self.successor.table(l1_index)? {
            Some(table) => self.cell(&self.successor, &table, at, l1_index)?,
            None => Cell::Absent,
        };
        Ok((held == Cell::Absent).then_some(cluster))
    }

    fn sizes(&self) -> (u64, u64) {
        let size = |side: &Side| side.header.virtual_size;
        (size(&self.parent), size(&self.successor))
    }

    /// Whether the merged image builds upon another one.
    pub(super) fn has_backing(&self) -> bool {
        self.parent.header.backing_name.is_some()
    }

    /// Entries of the merged image's L1 table.
    pub(super) fn l1_entries(&self) -> usize {
        let ranges = self.clusters().div_ceil(L2_ENTRIES);
        usize::try_from(ranges).unwrap_or(usize::MAX)
    }

    /// Indexes of L2 tables that either image may have.
    pub(super) fn ranges(&self) -> Range<usize> {
        0..self
            .parent
            .l1
            .len()
            .max(self.successor.l1.len())
            .max(self.l1_entries())
    }

    fn clusters(&self) -> u64 {
        self.successor.header.virtual_size.div_ceil(CLUSTER_BYTES)
    }

    /// From here on nothing of what the parent holds is seen.
    fn parent_end(&self) -> u64 {
        let (before, after) = self.sizes();
        before.min(after).div_ceil(CLUSTER_BYTES)
    }

    pub(super) fn can_share_payloads(&self) -> bool {
        self.parent.header.compression == self.successor.header.compression
    }

    pub(super) fn boundary_bytes(&self) -> Result<&[u8], MergeError> {
        let bytes = self.boundary.as_ref().and_then(|b| b.bytes.as_deref());
        bytes.ok_or_else(|| {
            self.successor
                .unsupported("the cluster in which the disk ended was not given")
        })
    }

    /// Whether the merged image's table of a range is not simply the parent's.
    pub(super) fn is_touched(&self, l1_index: usize) -> bool {
        let range = clusters_of(l1_index);
        let is_in = |cluster: u64| range.contains(&cluster);
        let (before, after) = self.sizes();
        let loses = before != after && self.parent_end() < range.end;
        let gains = self.gap.start < range.end && range.start < self.gap.end;
        self.successor.table_offset(l1_index) > 0
            || (loses && self.parent.table_offset(l1_index) > 0)
            || gains
            || self.boundary().is_some_and(is_in)
    }

    /// Who holds what in a range.
    pub(super) fn table(&self, l1_index: usize) -> Result<MergedTable, MergeError> {
        let older = self.parent.table(l1_index)?.unwrap_or_default();
        let newer = self.successor.table(l1_index)?.unwrap_or_default();
        let mut merged = MergedTable {
            sources: Vec::with_capacity(older.len()),
            superseded: Vec::new(),
        };
        for (at, guest_cluster) in clusters_of(l1_index).enumerate() {
            let old = self.cell(&self.parent, &older, at, l1_index)?;
            let new = self.cell(&self.successor, &newer, at, l1_index)?;
            let mut source = self.source(guest_cluster, new)?;
            if source == Source::Nothing && old != Cell::Absent {
                let entry = older.get(at).copied().unwrap_or_default();
                if guest_cluster < self.parent_end() {
                    source = Source::Parent(entry);
                }
            }
            if !matches!(source, Source::Parent(_)) && !old.hosts().is_empty() {
                merged.superseded.push(old);
            }
            merged.sources.push(source);
        }
        Ok(merged)
    }

    /// Where a cluster comes from, if it is not from the parent.
    fn source(&self, guest_cluster: u64, new: Cell) -> Result<Source, MergeError> {
        if guest_cluster >= self.clusters() {
            return Ok(Source::Nothing);
        }
        if self.boundary() == Some(guest_cluster) {
            let is_zero = self.boundary_bytes()?.iter().all(|byte| *byte == 0);
            return Ok(if is_zero {
                Source::Zero
            } else {
                Source::Boundary
            });
        }
        Ok(match new {
            Cell::Data(offset) => Source::Data(offset),
            Cell::Packed(packed) => Source::Packed(packed),
            Cell::Zero { .. } => Source::Zero,
            Cell::Absent if self.gap.contains(&guest_cluster) => Source::Zero,
            Cell::Absent => Source::Nothing,
        })
    }

    fn cell(
        &self,
        side: &Side,
        table: &[u64],
        at: usize,
        l1_index: usize,
    ) -> Result<Cell, MergeError> {
        let Some(entry) = table.get(at) else {
            return Ok(Cell::Absent);
        };
        Cell::parse(*entry, side.size_bytes()).map_err(|what| {
            let offset = side.table_offset(l1_index) + at as u64 * 8;
            side.damaged(offset, what)
        })
    }
}

fn clusters_of(l1_index: usize) -> Range<u64> {
    let first = l1_index as u64 * L2_ENTRIES;
    first..first + L2_ENTRIES
}

/// The L2 table of a cluster and its entry there.
fn position(cluster: u64) -> (usize, usize) {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    (number(cluster / L2_ENTRIES), number(cluster % L2_ENTRIES))
}
