//! What an entry of an L2 table says of a cluster.

use std::ops::Range;

use crate::geometry::{CLUSTER_BITS, CLUSTER_BYTES, SECTOR_BYTES};

pub(super) const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// The cluster has one user.
pub(super) const FLAG_COPIED: u64 = 1 << 63;
pub(super) const FLAG_ZERO: u64 = 1;
const FLAG_COMPRESSED: u64 = 1 << 62;
/// Where the count of sectors begins, with clusters of 64 KiB.
const SECTORS_SHIFT: u32 = 62 - (CLUSTER_BITS - 8);

/// A cluster of the disk in the file of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Absent,
    /// Reads as zeroes; other programs may keep a place for it.
    Zero {
        kept: Option<u64>,
    },
    /// At this offset.
    Data(u64),
    Packed(Packed),
}

/// The place of a payload: its end is known by the sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Packed {
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Cell {
    /// What `entry` says; `file_size` is what it must lie within.
    pub(super) fn parse(entry: u64, file_size: u64) -> Result<Self, &'static str> {
        if entry & FLAG_COMPRESSED != 0 {
            return Packed::parse(entry, file_size).map(Self::Packed);
        }
        if entry & !(OFFSET_MASK | FLAG_COPIED | FLAG_ZERO) != 0 {
            return Err("reserved bits of an L2 entry are set");
        }
        let offset = entry & OFFSET_MASK;
        if !offset.is_multiple_of(CLUSTER_BYTES) {
            return Err("an L2 entry is not aligned");
        }
        if offset > 0 && offset + CLUSTER_BYTES > file_size {
            return Err("an L2 entry points past the end of the file");
        }
        Ok(match (offset, entry & FLAG_ZERO) {
            (0, 0) => Self::Absent,
            (0, _) => Self::Zero { kept: None },
            (offset, 0) => Self::Data(offset),
            (offset, _) => Self::Zero { kept: Some(offset) },
        })
    }

    /// The clusters of the file that it uses.
    pub(super) fn hosts(self) -> Range<u64> {
        match self {
            Self::Absent | Self::Zero { kept: None } => 0..0,
            Self::Zero { kept: Some(offset) } | Self::Data(offset) => {
                offset / CLUSTER_BYTES..offset / CLUSTER_BYTES + 1
            }
            Self::Packed(packed) => packed.hosts(),
        }
    }
}

impl Packed {
    fn parse(entry: u64, file_size: u64) -> Result<Self, &'static str> {
        let offset = entry & ((1 << SECTORS_SHIFT) - 1);
        let more_sectors = (entry & !(FLAG_COMPRESSED | FLAG_COPIED)) >> SECTORS_SHIFT;
        let length = (more_sectors + 1) * SECTOR_BYTES - offset % SECTOR_BYTES;
        if offset >= file_size {
            return Err("a compressed cluster lies past the end of the file");
        }
        Ok(Self { offset, length })
    }

    /// The entry of the table for it.
    pub(super) fn entry(self) -> u64 {
        let more_sectors = (self.offset % SECTOR_BYTES + self.length - 1) / SECTOR_BYTES;
        FLAG_COMPRESSED | more_sectors << SECTORS_SHIFT | self.offset
    }

    pub(super) fn end(self) -> u64 {
        self.offset + self.length
    }

    pub(super) fn hosts(self) -> Range<u64> {
        self.offset / CLUSTER_BYTES..self.end().div_ceil(CLUSTER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_cluster_keeps_its_entry() {
        for (offset, length) in [(0x30_0000, 512), (0x30_0007, 1017), (0x2_ffff, 65_025)] {
            let packed = Packed { offset, length };
            let parsed = Cell::parse(packed.entry(), 1 << 40);
            assert_eq!(parsed, Ok(Cell::Packed(packed)));
        }
        let crossing = Packed {
            offset: 0x2_ffff,
            length: 513,
        };
        assert_eq!(crossing.hosts(), 2..4);
    }

    #[test]
    fn impossible_entries_are_refused() {
        for entry in [2, 0x8000, 0x11_0000, 1 << 60, FLAG_COMPRESSED | 0x20_0000] {
            assert!(Cell::parse(entry, 0x11_0000).is_err(), "{entry:#x}");
        }
        assert_eq!(Cell::parse(0x10_0000, 0x11_0000), Ok(Cell::Data(0x10_0000)));
    }
}
