//! Which clusters of a file are in use: the counts as they are, and as they will be.
//!
//! The old counts say what must not be touched before the merged image takes the old one's place, so
//! only clusters that are free in them are given away; what the merge itself sets free is for the next
//! one. The counts are held in memory a block (2 GiB of the file) at a time, as far as they are needed
//! or changed: at most 4 bytes for each cluster.

use std::collections::BTreeMap;
use std::ops::Range;

use super::MergeError;
use super::cell::OFFSET_MASK;
use super::side::Side;
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH, REFCOUNTS_PER_BLOCK};

const COUNTS: usize = CLUSTER_LENGTH / 2;

pub(super) struct Space<'a> {
    image: &'a Side,
    /// Where each block of counts lies, 0 for none.
    table: Vec<u64>,
    table_clusters: Range<u64>,
    blocks: BTreeMap<u64, Block>,
    /// What lies before it is not looked at again for free clusters.
    cursor: u64,
}

struct Block {
    old: Vec<u16>,
    new: Vec<u16>,
    is_changed: bool,
    /// Where the changed block will lie.
    place: Option<u64>,
}

impl Block {
    fn is_free(&self, at: usize) -> bool {
        self.old.get(at) == Some(&0) && self.new.get(at) == Some(&0)
    }
}

/// The changed blocks and the table that names them, with their places.
pub(super) struct Sealed {
    pub(super) table_offset: u64,
    pub(super) table_clusters: u32,
    /// Offsets ascend.
    pub(super) pieces: Vec<(u64, Vec<u8>)>,
}

impl<'a> Space<'a> {
    pub(super) fn of(image: &'a Side) -> Result<Self, MergeError> {
        let place = image.refcount_table()?;
        let table = image.numbers(place.offset, place.clusters * CLUSTER_BYTES)?;
        for (offset, at) in table.iter().zip((place.offset..).step_by(8)) {
            let is_aligned =
                offset.is_multiple_of(CLUSTER_BYTES) && *offset == offset & OFFSET_MASK;
            if !is_aligned || (*offset > 0 && offset + CLUSTER_BYTES > image.size_bytes()) {
                return Err(image.damaged(at, "an entry of the refcount table is impossible"));
            }
        }
        let first = place.offset / CLUSTER_BYTES;
        Ok(Self {
            image,
            table,
            table_clusters: first..first + place.clusters,
            blocks: BTreeMap::new(),
            cursor: 0,
        })
    }

    /// Gives away only what lies from `cluster` on.
    pub(super) fn append_from(&mut self, cluster: u64) {
        self.cursor = cluster;
    }

    fn block_offset(&self, index: u64) -> u64 {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        self.table.get(at).copied().unwrap_or_default()
    }

    fn block(&mut self, index: u64) -> Result<&mut Block, MergeError> {
        if !self.blocks.contains_key(&index) {
            let block = self.load(index)?;
            self.blocks.insert(index, block);
        }
        let missing = self.image.damaged(0, "a refcount block got lost");
        self.blocks.get_mut(&index).ok_or(missing)
    }

    fn load(&self, index: u64) -> Result<Block, MergeError> {
        let old = match self.block_offset(index) {
            0 => vec![0; COUNTS],
            offset => {
                let mut bytes = vec![0; CLUSTER_LENGTH];
                self.image.read(&mut bytes, offset)?;
                let (counts, _) = bytes.as_chunks::<2>();
                counts.iter().map(|n| u16::from_be_bytes(*n)).collect()
            }
        };
        Ok(Block {
            new: old.clone(),
            old,
            is_changed: false,
            place: None,
        })
    }

    fn change(
        &mut self,
        cluster: u64,
        step: impl FnOnce(u16) -> Option<u16>,
    ) -> Result<(), MergeError> {
        let image = self.image;
        let (index, at) = position(cluster);
        let block = self.block(index)?;
        let count = block.new.get_mut(at).and_then(|count| {
            *count = step(*count)?;
            Some(())
        });
        block.is_changed = true;
        let at = cluster.saturating_mul(CLUSTER_BYTES);
        count.ok_or_else(|| image.damaged(at, "a cluster has an impossible number of users"))
    }

    /// These clusters have one more user.
    pub(super) fn take(&mut self, clusters: Range<u64>) -> Result<(), MergeError> {
        for cluster in clusters {
            self.change(cluster, |count| count.checked_add(1))?;
        }
        Ok(())
    }

    /// These clusters have one user less.
    pub(super) fn release(&mut self, clusters: Range<u64>) -> Result<(), MergeError> {
        for cluster in clusters {
            self.change(cluster, |count| count.checked_sub(1))?;
        }
        Ok(())
    }

    /// The next free clusters in a row, at least `least` and at most `most`. They are used once they are
    /// [taken](Self::take), and in any case not given away again.
    pub(super) fn allocate(&mut self, least: u64, most: u64) -> Result<Range<u64>, MergeError> {
        loop {
            let start = self.skip(self.cursor, u64::MAX, false)?;
            let end = self.skip(start, start.saturating_add(most), true)?;
            self.cursor = end;
            if end - start >= least {
                return Ok(start..end);
            }
        }
    }

    /// The end of what is free (or is not) from `from` on, at most `limit`.
    fn skip(&mut self, from: u64, limit: u64, what_is_free: bool) -> Result<u64, MergeError> {
        let mut at = from;
        while at < limit {
            let (index, within) = position(at);
            let is_counted = self.blocks.contains_key(&index) || self.block_offset(index) > 0;
            if !is_counted && !what_is_free {
                return Ok(at);
            }
            let end = (index + 1) * REFCOUNTS_PER_BLOCK;
            if is_counted {
                let block = self.block(index)?;
                let is_other = |at: &usize| block.is_free(*at) != what_is_free;
                let found = (within..COUNTS).find(is_other);
                let is_unchanged = !block.is_changed;
                if let Some(found) = found {
                    return Ok((index * REFCOUNTS_PER_BLOCK + found as u64).min(limit));
                }
                if is_unchanged {
                    self.blocks.remove(&index);
                }
            }
            at = end;
        }
        Ok(limit)
    }

    /// Gives the changed blocks and a new table their places and frees the old ones. Nothing may be
    /// taken or released afterwards.
    pub(super) fn seal(&mut self) -> Result<Sealed, MergeError> {
        self.release(self.table_clusters.clone())?;
        let mut table = 0..0;
        loop {
            // A block that gets a place is counted in a block, which may be changed by that.
            while let Some(index) = self.homeless() {
                let place = self.allocate(1, 1)?;
                self.take(place.clone())?;
                self.block(index)?.place = Some(place.start);
                let old = self.block_offset(index) / CLUSTER_BYTES;
                if old > 0 {
                    self.release(old..old + 1)?;
                }
            }
            let needed = (self.block_count() * 8).div_ceil(CLUSTER_BYTES);
            if table.end - table.start >= needed {
                break;
            }
            self.release(table)?;
            table = self.allocate(needed, needed)?;
            self.take(table.clone())?;
        }
        Ok(Sealed {
            table_offset: table.start * CLUSTER_BYTES,
            table_clusters: u32::try_from(table.end - table.start).unwrap_or(u32::MAX),
            pieces: self.pieces(&table),
        })
    }

    fn homeless(&self) -> Option<u64> {
        let is_homeless = |block: &Block| block.is_changed && block.place.is_none();
        let mut blocks = self.blocks.iter();
        blocks
            .find(|(_, block)| is_homeless(block))
            .map(|(index, _)| *index)
    }

    /// How many blocks the table must name.
    fn block_count(&self) -> u64 {
        let named = self.table.iter().rposition(|offset| *offset > 0);
        let named = named.map_or(0, |last| last as u64 + 1);
        let held = self.blocks.iter().rev().find(|(_, block)| block.is_changed);
        named.max(held.map_or(0, |(index, _)| index + 1))
    }

    fn pieces(&self, table: &Range<u64>) -> Vec<(u64, Vec<u8>)> {
        let mut names = Vec::new();
        for index in 0..self.block_count() {
            let place = self.blocks.get(&index).and_then(|block| block.place);
            let offset = place.map_or(self.block_offset(index), |place| place * CLUSTER_BYTES);
            names.extend(offset.to_be_bytes());
        }
        let length = (table.end - table.start) * CLUSTER_BYTES;
        names.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
        let blocks = self.blocks.values().filter_map(|block| {
            let counts = block.new.iter().flat_map(|count| count.to_be_bytes());
            Some((block.place? * CLUSTER_BYTES, counts.collect()))
        });
        let mut pieces: Vec<_> = blocks.collect();
        pieces.push((table.start * CLUSTER_BYTES, names));
        pieces.sort_unstable_by_key(|(offset, _)| *offset);
        pieces
    }

    /// Clusters in use, and the end of the last one.
    pub(super) fn usage(&mut self) -> Result<(u64, u64), MergeError> {
        let (mut used, mut end) = (0, 0);
        for index in 0..self.block_count() {
            self.visit(index, |cluster, count| {
                if count > 0 {
                    used += 1;
                    end = cluster + 1;
                }
            })?;
        }
        Ok((used, end))
    }

    /// The end of the last cluster in use.
    pub(super) fn end(&mut self) -> Result<u64, MergeError> {
        for index in (0..self.block_count()).rev() {
            let mut end = None;
            self.visit(index, |cluster, count| {
                if count > 0 {
                    end = Some(cluster + 1);
                }
            })?;
            if let Some(end) = end {
                return Ok(end);
            }
        }
        Ok(0)
    }

    /// Clusters before `end` that nothing uses.
    pub(super) fn unused(&mut self, end: u64) -> Result<Vec<Range<u64>>, MergeError> {
        let mut runs = Vec::new();
        for index in 0..end.div_ceil(REFCOUNTS_PER_BLOCK) {
            self.visit(index, |cluster, count| {
                if count == 0 && cluster < end {
                    push_run(&mut runs, cluster);
                }
            })?;
        }
        Ok(runs)
    }

    fn visit(&mut self, index: u64, mut each: impl FnMut(u64, u16)) -> Result<(), MergeError> {
        let first = index * REFCOUNTS_PER_BLOCK;
        let mut all = |block: &Block| {
            for (cluster, count) in (first..).zip(&block.new) {
                each(cluster, *count);
            }
        };
        match self.blocks.get(&index) {
            Some(block) => all(block),
            None => all(&self.load(index)?),
        }
        Ok(())
    }
}

fn push_run(runs: &mut Vec<Range<u64>>, cluster: u64) {
    match runs.last_mut() {
        Some(last) if last.end == cluster => last.end += 1,
        _ => runs.push(cluster..cluster + 1),
    }
}

/// The block that counts a cluster, and where in it.
fn position(cluster: u64) -> (u64, usize) {
    let within = cluster % REFCOUNTS_PER_BLOCK;
    let within = usize::try_from(within).unwrap_or(COUNTS);
    (cluster / REFCOUNTS_PER_BLOCK, within)
}
