//! The successor's clusters into the parent's file.
//!
//! ```text
//! parent's file   | H | L1 | a b c d L2 | R | T |
//! prepared        | H | L1 | a b c d L2 | R | T | B' D' L2' L1' R' T' |   H still names the old L1
//! flipped         | H'|  . | a . c .  . | . | . | B' D' L2' L1' R' T' |   . is free for the next merge
//! ```
//! Until the one write of 512 bytes that flips the header, nothing that the old header leads to is
//! changed: the file is the parent's image, whole and clean. After it, it is the merged one. Tables are
//! written anew only where the successor holds something; what is read is the successor, the tables
//! beside it, and the counts (1/32768 of the file, if no free cluster is found before).

use std::ops::Range;

use super::cell::FLAG_COPIED;
use super::mover::Mover;
use super::output::Output;
use super::pair::MergePair;
use super::side::Side;
use super::space::{Sealed, Space};
use super::{MergeError, MergedImage, Watch};
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH};
use crate::{ChainImage, ImageUpdate};

/// What is written in one piece.
const SECTOR_LENGTH: usize = 512;
/// Free clusters stay in the file if they are at most one for so many in use.
const KEPT_SHARE: u64 = 8;

/// A merge that is complete and durable but for its last step.
#[derive(Debug)]
pub struct PreparedMerge {
    sector: Vec<u8>,
    /// What is worth giving back.
    unused: Vec<Range<u64>>,
    merged: MergedImage,
}

/// Writes the successor's clusters into free clusters of the parent's file, which `update` is, with all
/// that the merged image needs, and makes it durable.
pub fn prepare_merge(
    pair: &MergePair,
    update: &mut dyn ImageUpdate,
    watch: Watch<'_>,
) -> Result<PreparedMerge, MergeError> {
    let space = Space::of(&pair.parent)?;
    let prepared = std::thread::scope(|scope| {
        let output = Output::new(scope, &mut *update);
        write_all(Mover::new(pair, space, output, watch))
    })?;
    make_durable(update, prepared.merged.size_bytes)?;
    Ok(prepared)
}

/// In a file that is at least `length` long.
fn make_durable(update: &mut dyn ImageUpdate, length: u64) -> Result<(), MergeError> {
    let failed = |source| MergeError::Write {
        offset: length,
        source,
    };
    if update.size_bytes() < length {
        update.write_all_at(&[0], length - 1).map_err(failed)?;
    }
    update.sync().map_err(failed)
}

fn write_all(mut mover: Mover<'_>) -> Result<PreparedMerge, MergeError> {
    let pair = mover.pair;
    let mut l1 = pair.parent.l1.clone();
    l1.resize(pair.l1_entries().max(l1.len()), 0);
    for l1_index in pair.ranges().filter(|index| pair.is_touched(*index)) {
        let table = pair.table(l1_index)?;
        let entries = mover.entries(&table)?;
        let old = pair.parent.table_offset(l1_index) / CLUSTER_BYTES;
        if old > 0 {
            mover.space.release(old..old + 1)?;
        }
        let new = write_table(&mut mover, &entries)?;
        if let Some(place) = l1.get_mut(l1_index) {
            *place = new;
        }
    }
    l1.truncate(pair.l1_entries());
    seal(mover, &l1)
}

/// Where the table now lies, 0 if it names nothing.
fn write_table(mover: &mut Mover<'_>, entries: &[u64]) -> Result<u64, MergeError> {
    if entries.iter().all(|entry| *entry == 0) {
        return Ok(0);
    }
    let place = mover.space.allocate(1, 1)?;
    mover.space.take(place.clone())?;
    let offset = place.start * CLUSTER_BYTES;
    mover.output.write(offset, &table_bytes(entries))?;
    Ok(offset)
}

fn seal(mut mover: Mover<'_>, l1: &[u64]) -> Result<PreparedMerge, MergeError> {
    let parent = &mover.pair.parent;
    for range in parent.header.head_ranges().into_iter().skip(1) {
        let clusters = range.start / CLUSTER_BYTES..range.end / CLUSTER_BYTES;
        mover.space.release(clusters)?;
    }
    let l1_bytes = l1_bytes(l1);
    let clusters = l1_bytes.len() as u64 / CLUSTER_BYTES;
    let place = mover.space.allocate(clusters, clusters)?;
    mover.space.take(place.clone())?;
    let l1_offset = place.start * CLUSTER_BYTES;
    mover.output.write(l1_offset, &l1_bytes)?;
    let sealed = mover.space.seal()?;
    for (offset, bytes) in &sealed.pieces {
        mover.output.write(*offset, bytes)?;
    }
    let (used, end) = mover.space.usage()?;
    let size_bytes = end * CLUSTER_BYTES;
    let unused = if (end - used).saturating_mul(KEPT_SHARE) > used {
        mover.space.unused(end)?
    } else {
        Vec::new()
    };
    mover.output.finish()?;

    let mut first_cluster = parent.first_cluster()?;
    patch_header(&mut first_cluster, mover.pair, l1, l1_offset, &sealed);
    let head_blake3 = head_digest(&first_cluster, &l1_bytes);
    first_cluster.truncate(SECTOR_LENGTH);
    Ok(PreparedMerge {
        sector: first_cluster,
        unused,
        merged: MergedImage {
            size_bytes,
            virtual_size: mover.pair.successor.header.virtual_size,
            head_blake3,
        },
    })
}

impl PreparedMerge {
    /// What the file is after the last step.
    pub fn merged(&self) -> MergedImage {
        self.merged
    }

    /// The last step: from now on the file is the merged image. Durable on return. What lies behind its
    /// end is cut off.
    pub fn flip(&self, update: &mut dyn ImageUpdate) -> Result<(), MergeError> {
        let flipped = update
            .write_all_at(&self.sector, 0)
            .and_then(|()| update.sync());
        flipped.map_err(|source| MergeError::Write { offset: 0, source })?;
        cut(update, self.merged.size_bytes)
    }

    /// Gives back the space of what the merged image does not need, after the flip, if that is more than
    /// an eighth of what it needs: less is used by the next merge, and punching many holes takes longer
    /// than the merge. It is of no concern to what the file holds, and need not be durable.
    pub fn reclaim(&self, update: &mut dyn ImageUpdate) -> Result<(), MergeError> {
        punch(update, &self.unused, self.merged.size_bytes)
    }
}

/// Gives back the space of everything that `image`, which `update` is, does not use: after a merge that
/// was interrupted. What follows its last cluster is cut off; says how long it is then.
pub fn reclaim_unused(image: ChainImage, update: &mut dyn ImageUpdate) -> Result<u64, MergeError> {
    let side = Side::open(image)?;
    let mut space = Space::of(&side)?;
    let end = space.end()?;
    punch(update, &space.unused(end)?, end * CLUSTER_BYTES)?;
    cut(update, end * CLUSTER_BYTES)?;
    Ok(end * CLUSTER_BYTES)
}

fn punch(
    update: &mut dyn ImageUpdate,
    unused: &[Range<u64>],
    size_bytes: u64,
) -> Result<(), MergeError> {
    for run in unused {
        let range = run.start * CLUSTER_BYTES..(run.end * CLUSTER_BYTES).min(size_bytes);
        let offset = range.start;
        if !range.is_empty() {
            let punched = update.punch(range);
            punched.map_err(|source| MergeError::Write { offset, source })?;
        }
    }
    Ok(())
}

fn cut(update: &mut dyn ImageUpdate, length: u64) -> Result<(), MergeError> {
    if update.size_bytes() <= length {
        return Ok(());
    }
    let cut = update.cut(length).and_then(|()| update.sync());
    cut.map_err(|source| MergeError::Write {
        offset: length,
        source,
    })
}

pub(super) fn table_bytes(entries: &[u64]) -> Vec<u8> {
    entries.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// In whole clusters.
pub(super) fn l1_bytes(l1: &[u64]) -> Vec<u8> {
    let entry = |offset: &u64| match offset {
        0 => 0,
        offset => offset | FLAG_COPIED,
    };
    let mut bytes = table_bytes(&l1.iter().map(entry).collect::<Vec<_>>());
    bytes.resize(bytes.len().next_multiple_of(CLUSTER_LENGTH), 0);
    bytes
}

pub(super) fn head_digest(first_cluster: &[u8], l1_bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(first_cluster).update(l1_bytes);
    hasher.finalize().into()
}

/// All that differs lies in the first 104 bytes, which are written in one piece.
pub(super) fn patch_header(
    header: &mut [u8],
    pair: &MergePair,
    l1: &[u64],
    l1_offset: u64,
    sealed: &Sealed,
) {
    let mut set = |at: usize, bytes: &[u8]| {
        if let Some(field) = header.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    };
    let l1_entries = u32::try_from(l1.len()).unwrap_or(u32::MAX);
    set(24, &pair.successor.header.virtual_size.to_be_bytes());
    set(36, &l1_entries.to_be_bytes());
    set(40, &l1_offset.to_be_bytes());
    set(48, &sealed.table_offset.to_be_bytes());
    set(56, &sealed.table_clusters.to_be_bytes());
}
