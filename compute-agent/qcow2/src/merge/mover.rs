//! Moving what the successor holds into free clusters of the parent's file.

use std::ops::Range;

use super::cell::{FLAG_COPIED, FLAG_ZERO, Packed};
use super::output::Output;
use super::pair::{MergePair, MergedTable, Source};
use super::space::Space;
use super::{MergeError, Watch};
use crate::Decompressor;
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, SECTOR_BYTES};

/// Moves bytes and remembers where they went.
pub(super) struct Mover<'a> {
    pub(super) pair: &'a MergePair,
    pub(super) space: Space<'a>,
    pub(super) output: Output,
    pub(super) watch: Watch<'a>,
    /// What is left of the clusters that payloads were last packed into, in bytes of the file.
    packing: Range<u64>,
    decompressor: Decompressor,
}

/// A cluster of the successor and the entry of the table that is to name it.
type Item<T> = (T, usize);

impl<'a> Mover<'a> {
    pub(super) fn new(
        pair: &'a MergePair,
        space: Space<'a>,
        output: Output,
        watch: Watch<'a>,
    ) -> Self {
        Self {
            pair,
            space,
            output,
            watch,
            packing: 0..0,
            decompressor: Decompressor::new(),
        }
    }

    /// The entries of a merged table, once all they name is on its way.
    pub(super) fn entries(&mut self, table: &MergedTable) -> Result<Vec<u64>, MergeError> {
        for cell in &table.superseded {
            self.space.release(cell.hosts())?;
        }
        let mut entries = vec![0; table.sources.len()];
        let (mut data, mut packed) = (Vec::new(), Vec::new());
        for (at, source) in table.sources.iter().enumerate() {
            match *source {
                Source::Nothing => {}
                Source::Zero => self.set(&mut entries, at, self.pair.zero_entry()),
                Source::Parent(entry) => self.set(&mut entries, at, entry),
                Source::Data(offset) => data.push((offset, at)),
                Source::Packed(place) => packed.push((place, at)),
                Source::Boundary => {
                    let bytes = self.pair.boundary_bytes()?;
                    let place = self.place(1)?.start * CLUSTER_BYTES;
                    self.output.write(place, bytes)?;
                    self.set(&mut entries, at, place | FLAG_COPIED);
                }
            }
        }
        data.sort_unstable();
        packed.sort_unstable();
        self.move_data(&data, &mut entries)?;
        if self.pair.can_share_payloads() {
            self.move_payloads(&packed, &mut entries)?;
        } else {
            self.unpack(&packed, &mut entries)?;
        }
        Ok(entries)
    }

    fn set(&self, entries: &mut [u64], at: usize, entry: u64) {
        if let Some(place) = entries.get_mut(at) {
            *place = entry;
        }
    }

    /// Free clusters in a row, which now have one user.
    fn place(&mut self, most: u64) -> Result<Range<u64>, MergeError> {
        let place = self.space.allocate(1, most)?;
        self.space.take(place.clone())?;
        Ok(place)
    }

    fn move_data(&mut self, data: &[Item<u64>], entries: &mut [u64]) -> Result<(), MergeError> {
        for run in data.chunk_by(|a, b| a.0 + CLUSTER_BYTES == b.0) {
            let mut rest = run;
            while let Some((offset, _)) = rest.first() {
                let place = self.place(rest.len() as u64)?;
                let to = place.start * CLUSTER_BYTES;
                let clusters = usize::try_from(place.end - place.start).unwrap_or(rest.len());
                let (now, later) = rest.split_at(clusters.min(rest.len()));
                self.copy(*offset, to, now.len() as u64 * CLUSTER_BYTES)?;
                for ((_, at), offset) in now.iter().zip((to..).step_by(CLUSTER_LENGTH)) {
                    self.set(entries, *at, offset | FLAG_COPIED);
                }
                rest = later;
            }
        }
        Ok(())
    }

    /// Bytes of the successor's file to the parent's.
    fn copy(&mut self, mut from: u64, mut to: u64, length: u64) -> Result<(), MergeError> {
        let mut left = length;
        while left > 0 {
            let room = self.output.room(to, left)?;
            let done = room.len() as u64;
            // The last sector of a payload may be cut off by the end of the file.
            let there = self.pair.successor.size_bytes().saturating_sub(from);
            let there = usize::try_from(there).unwrap_or(usize::MAX).min(room.len());
            let (bytes, missing) = room.split_at_mut(there);
            self.pair.successor.read(bytes, from)?;
            missing.fill(0);
            (from, to, left) = (from + done, to + done, left - done);
            if !(self.watch)(done) {
                return Err(MergeError::Stopped);
            }
        }
        Ok(())
    }

    /// Payloads that follow each other are moved together, so that they stay packed. They keep their
    /// place within a sector, since the end of each is known by the sector only.
    fn move_payloads(
        &mut self,
        packed: &[Item<Packed>],
        entries: &mut [u64],
    ) -> Result<(), MergeError> {
        for row in packed.chunk_by(|a, b| b.0.offset <= a.0.end()) {
            let mut rest = row;
            while let Some((first, _)) = rest.first() {
                let start = self.pack(*first, rest)?;
                let fits =
                    |item: &Item<Packed>| start + (item.0.end() - first.offset) <= self.packing.end;
                let count = rest.iter().take_while(|item| fits(item)).count().max(1);
                let (now, later) = rest.split_at(count);
                let end = now.last().map_or(first.end(), |(last, _)| last.end());
                self.copy(first.offset, start, end - first.offset)?;
                for (old, at) in now {
                    let new = Packed {
                        offset: start + (old.offset - first.offset),
                        length: old.length,
                    };
                    self.space.take(new.hosts())?;
                    self.set(entries, *at, new.entry());
                }
                self.packing.start = start + (end - first.offset);
                rest = later;
            }
        }
        Ok(())
    }

    /// Where `first`, and as many as possible of `row` behind it, can be packed.
    fn pack(&mut self, first: Packed, row: &[Item<Packed>]) -> Result<u64, MergeError> {
        let within = first.offset % SECTOR_BYTES;
        let start = |from: u64| (from - within.min(from)).next_multiple_of(SECTOR_BYTES) + within;
        let at = start(self.packing.start);
        if at + first.length <= self.packing.end {
            return Ok(at);
        }
        let end = row.last().map_or(first.end(), |(last, _)| last.end());
        let clusters = |end: u64| (within + end - first.offset).div_ceil(CLUSTER_BYTES);
        let place = self.space.allocate(clusters(first.end()), clusters(end))?;
        self.packing = place.start * CLUSTER_BYTES..place.end * CLUSTER_BYTES;
        Ok(start(self.packing.start))
    }

    /// Stores what the parent cannot hold compressed as it is.
    fn unpack(&mut self, packed: &[Item<Packed>], entries: &mut [u64]) -> Result<(), MergeError> {
        let mut cluster = vec![0; CLUSTER_LENGTH];
        for (payload, at) in packed {
            self.pair
                .successor
                .unpack(*payload, &mut self.decompressor, &mut cluster)?;
            let place = self.place(1)?.start * CLUSTER_BYTES;
            self.output.write(place, &cluster)?;
            self.set(entries, *at, place | FLAG_COPIED);
            if !(self.watch)(payload.length) {
                return Err(MergeError::Stopped);
            }
        }
        Ok(())
    }
}

impl MergePair {
    /// The entry of a cluster that is zero whatever older images hold.
    pub(super) fn zero_entry(&self) -> u64 {
        if self.has_backing() { FLAG_ZERO } else { 0 }
    }
}
