//! The L2 table that is being filled.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::FLAG_COPIED;
use super::saved_table::SavedTable;
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, L2_ENTRIES, SECTOR_BYTES};

/// Bit 0 of an L2 entry: reads as zeroes.
const FLAG_ZERO: u64 = 1;
/// Bit 62 of an L2 entry: it points to a payload, at any byte.
const FLAG_COMPRESSED: u64 = 1 << 62;
/// With clusters of 64 KiB an entry has this many bits for the place of a payload, and above them
/// those for the sectors that it goes on for.
const PAYLOAD_OFFSET_BITS: u32 = 54;
const PAYLOAD_OFFSET_MASK: u64 = (1 << PAYLOAD_OFFSET_BITS) - 1;

/// One L2 table, its entries as they will be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SavedTable", into = "SavedTable")]
pub(super) struct OpenTable {
    l1_index: u64,
    entries: Vec<u64>,
}

/// Where an entry says that a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Nowhere,
    Zero,
    Data {
        host_cluster: u64,
    },
    Packed {
        offset: u64,
        /// From the one that `offset` is in.
        sectors: u64,
    },
}

impl Entry {
    fn of(entry: u64) -> Self {
        if entry & FLAG_COMPRESSED != 0 {
            let more_sectors = (entry & !FLAG_COMPRESSED) >> PAYLOAD_OFFSET_BITS;
            return Self::Packed {
                offset: entry & PAYLOAD_OFFSET_MASK,
                sectors: more_sectors + 1,
            };
        }
        match entry {
            0 => Self::Nowhere,
            FLAG_ZERO => Self::Zero,
            data => Self::Data {
                host_cluster: (data & !FLAG_COPIED) / CLUSTER_BYTES,
            },
        }
    }

    /// Where it ends in the file, at most.
    fn host_end(self) -> u64 {
        match self {
            Self::Nowhere | Self::Zero => 0,
            Self::Data { host_cluster } => (host_cluster + 1) * CLUSTER_BYTES,
            Self::Packed { offset, sectors } => (offset / SECTOR_BYTES + sectors) * SECTOR_BYTES,
        }
    }
}

/// The sectors that `length` bytes at `offset` touch.
pub(super) fn sectors_of(offset: u64, length: u64) -> u64 {
    (offset + length).div_ceil(SECTOR_BYTES) - offset / SECTOR_BYTES
}

impl OpenTable {
    pub(super) fn new(l1_index: u64) -> Self {
        let entries = vec![0; CLUSTER_LENGTH / 8];
        Self { l1_index, entries }
    }

    pub(super) fn l1_index(&self) -> u64 {
        self.l1_index
    }

    fn first_guest_cluster(&self) -> u64 {
        self.l1_index * L2_ENTRIES
    }

    /// The guest cluster after the table's last.
    pub(super) fn end(&self) -> u64 {
        self.first_guest_cluster() + L2_ENTRIES
    }

    fn places(&mut self, guest_clusters: Range<u64>) -> impl Iterator<Item = &mut u64> {
        let first = guest_clusters
            .start
            .saturating_sub(self.first_guest_cluster());
        let count = guest_clusters.end - guest_clusters.start;
        let (first, count) = (in_memory(first), in_memory(count));
        self.entries.iter_mut().skip(first).take(count)
    }

    pub(super) fn map_data(&mut self, guest_clusters: Range<u64>, offset: u64) {
        let mut offset = offset;
        for place in self.places(guest_clusters) {
            *place = offset | FLAG_COPIED;
            offset += CLUSTER_BYTES;
        }
    }

    pub(super) fn map_zero(&mut self, guest_clusters: Range<u64>) {
        self.places(guest_clusters)
            .for_each(|place| *place = FLAG_ZERO);
    }

    pub(super) fn map_packed(&mut self, guest_cluster: u64, offset: u64, length: u64) {
        let more_sectors = sectors_of(offset, length).saturating_sub(1);
        let entry = FLAG_COMPRESSED | more_sectors << PAYLOAD_OFFSET_BITS | offset;
        self.places(guest_cluster..guest_cluster + 1)
            .for_each(|place| *place = entry);
    }

    /// What is in the table, by place in it.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, Entry)> {
        let entries = self.entries.iter().map(|entry| Entry::of(*entry));
        (0..).zip(entries)
    }

    /// Whether a table read from a checkpoint is one that the writer can have had, given that
    /// `next` is the next guest cluster and the file has `host_clusters`.
    pub(super) fn is_possible(&self, next: u64, host_clusters: u64) -> bool {
        let used = self.entries.iter().rposition(|entry| *entry != 0);
        let Some(last) = used else {
            return false;
        };
        let is_in_file =
            |(_, entry): (u64, Entry)| entry.host_end() / CLUSTER_BYTES <= host_clusters;
        let first = self.l1_index.checked_mul(L2_ENTRIES);
        let end = first.and_then(|first| first.checked_add(last as u64 + 1));
        end == Some(next) && self.entries().all(is_in_file)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let entries = self.entries.iter();
        entries.flat_map(|entry| entry.to_be_bytes()).collect()
    }
}

/// For numbers of entries; one that memory cannot hold is past the table's end too.
fn in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
