//! A new image of server-side copies: what the successor changed is all that travels.
//!
//! ```text
//! | head | parent's file behind its head | successor's clusters | L2' ... L1' R' T' |
//!   sent last       copied as it is              copied               sent
//! ```
//! The parent's clusters keep their places, the successor's all move by the same distance. What the
//! parent held and the successor replaced stays in it, dead: see [`MergeComposition::dead_bytes`].

use std::io;
use std::ops::Range;

use super::cell::{Cell, FLAG_COPIED, Packed};
use super::in_place::{head_digest, l1_bytes, patch_header, table_bytes};
use super::pair::{MergePair, MergedTable, Source};
use super::space::Space;
use super::{MergeError, MergedImage, Watch};
use crate::ImageSink;
use crate::geometry::{CLUSTER_BYTES, CLUSTER_LENGTH};

/// Copied at once, so that a merge can be stopped in between.
const COPY_BYTES: u64 = 1 << 30;

/// One of the two images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeSource {
    /// The one that goes.
    Parent,
    /// The one that stays.
    Successor,
}

/// A sink that copies ranges of the two images by itself.
pub trait CopyingSink: ImageSink {
    /// Adds bytes of the file of `source` at [`position`](ImageSink::position).
    fn append_copy(&mut self, source: MergeSource, range: Range<u64>) -> io::Result<()>;
}

/// What a merged object would be made of.
pub struct MergeComposition<'a> {
    pair: &'a MergePair,
    space: Space<'a>,
    head_bytes: u64,
    /// What is copied of the successor.
    successor: Range<u64>,
    /// Where it will lie.
    base: u64,
    dead_bytes: u64,
    live_bytes: u64,
}

/// A merged object that is complete but for its head.
#[derive(Debug)]
pub struct ComposedImage {
    /// What the sink is to be finished with.
    pub head: Vec<u8>,
    /// What it is then.
    pub merged: MergedImage,
}

impl<'a> MergeComposition<'a> {
    /// Looks at the tables of both, and copies nothing yet; `head_minimum_bytes` is the sink's.
    pub fn plan(pair: &'a MergePair, head_minimum_bytes: u64) -> Result<Self, MergeError> {
        let mut space = Space::of(&pair.parent)?;
        let head_bytes = head_minimum_bytes
            .max(CLUSTER_BYTES)
            .next_multiple_of(CLUSTER_BYTES);
        let (mut held, mut clusters, mut tables) = (Held::default(), 0, 0);
        for l1_index in pair.ranges().filter(|index| pair.is_touched(*index)) {
            let table = pair.table(l1_index)?;
            release(pair, &mut space, l1_index, &table)?;
            clusters += held.add(&table);
            tables += 1;
        }
        if held.has_payloads && !pair.can_share_payloads() {
            return Err(pair
                .successor
                .unsupported("it is compressed in another way"));
        }
        let base = pair
            .parent
            .size_bytes()
            .max(head_bytes)
            .next_multiple_of(CLUSTER_BYTES);
        let successor = held.range.start..held.range.end.min(pair.successor.size_bytes());
        let body = (successor.end - successor.start).next_multiple_of(CLUSTER_BYTES);
        let (used, _) = space.usage()?;
        let live_bytes = (used + clusters + tables) * CLUSTER_BYTES;
        let total_bytes = base + body + tables * CLUSTER_BYTES;
        Ok(Self {
            pair,
            space,
            head_bytes,
            successor,
            base,
            dead_bytes: total_bytes.saturating_sub(live_bytes),
            live_bytes,
        })
    }

    /// What the object would hold that nothing refers to.
    pub fn dead_bytes(&self) -> u64 {
        self.dead_bytes
    }

    /// What it would hold besides.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Appends everything but the head to a new sink.
    pub fn write(
        mut self,
        sink: &mut dyn CopyingSink,
        watch: Watch<'_>,
    ) -> Result<ComposedImage, MergeError> {
        let mut out = Appender { sink, watch };
        out.reserve(self.head_bytes)?;
        let parent_end = self.pair.parent.size_bytes();
        out.copy(MergeSource::Parent, self.head_bytes..parent_end)?;
        out.pad(self.base)?;
        out.copy(MergeSource::Successor, self.successor.clone())?;
        let end = out.position().next_multiple_of(CLUSTER_BYTES);
        out.pad(end)?;
        self.space.append_from(end / CLUSTER_BYTES);

        let mut l1 = self.pair.parent.l1.clone();
        l1.resize(self.pair.l1_entries().max(l1.len()), 0);
        let ranges = self.pair.ranges();
        for l1_index in ranges.filter(|index| self.pair.is_touched(*index)) {
            let table = self.pair.table(l1_index)?;
            let entries = self.entries(&table, &mut out)?;
            let offset = if entries.iter().all(|entry| *entry == 0) {
                0
            } else {
                self.append(&table_bytes(&entries), &mut out)?
            };
            if let Some(place) = l1.get_mut(l1_index) {
                *place = offset;
            }
        }
        l1.truncate(self.pair.l1_entries());
        self.seal(&l1, &mut out)
    }

    fn seal(mut self, l1: &[u64], out: &mut Appender<'_>) -> Result<ComposedImage, MergeError> {
        let parent = &self.pair.parent;
        for range in parent.header.head_ranges().into_iter().skip(1) {
            let clusters = range.start / CLUSTER_BYTES..range.end / CLUSTER_BYTES;
            self.space.release(clusters)?;
        }
        let l1_bytes = l1_bytes(l1);
        let l1_offset = self.append(&l1_bytes, out)?;
        let sealed = self.space.seal()?;
        for (offset, bytes) in &sealed.pieces {
            out.pad(*offset)?;
            out.append(bytes)?;
        }
        let size_bytes = out.position();
        let in_head = self.head_bytes.min(parent.size_bytes());
        let mut head = vec![0; usize::try_from(in_head).unwrap_or(usize::MAX)];
        parent.read(&mut head, 0)?;
        head.resize(usize::try_from(self.head_bytes).unwrap_or(usize::MAX), 0);
        patch_header(&mut head, self.pair, l1, l1_offset, &sealed);
        let first_cluster = head.get(..CLUSTER_LENGTH).unwrap_or_default();
        let merged = MergedImage {
            size_bytes,
            virtual_size: self.pair.successor.header.virtual_size,
            head_blake3: head_digest(first_cluster, &l1_bytes),
        };
        Ok(ComposedImage { head, merged })
    }

    fn entries(
        &mut self,
        table: &MergedTable,
        out: &mut Appender<'_>,
    ) -> Result<Vec<u64>, MergeError> {
        let (base, start) = (self.base, self.successor.start);
        let moved = |offset: u64| offset - start + base;
        let mut entries = Vec::with_capacity(table.sources.len());
        for source in &table.sources {
            entries.push(match *source {
                Source::Nothing => 0,
                Source::Zero => self.pair.zero_entry(),
                Source::Parent(entry) => entry,
                Source::Data(offset) => {
                    let offset = moved(offset);
                    self.space.take(Cell::Data(offset).hosts())?;
                    offset | FLAG_COPIED
                }
                Source::Packed(packed) => {
                    let offset = moved(packed.offset);
                    let packed = Packed { offset, ..packed };
                    self.space.take(packed.hosts())?;
                    packed.entry()
                }
                Source::Boundary => {
                    let pair = self.pair;
                    self.append(pair.boundary_bytes()?, out)? | FLAG_COPIED
                }
            });
        }
        Ok(entries)
    }

    /// Whole clusters, whose place is the end of the object.
    fn append(&mut self, bytes: &[u8], out: &mut Appender<'_>) -> Result<u64, MergeError> {
        let clusters = bytes.len() as u64 / CLUSTER_BYTES;
        let place = self.space.allocate(clusters, clusters)?;
        self.space.take(place.clone())?;
        let offset = place.start * CLUSTER_BYTES;
        out.pad(offset)?;
        out.append(bytes)?;
        Ok(offset)
    }
}

fn release(
    pair: &MergePair,
    space: &mut Space<'_>,
    l1_index: usize,
    table: &MergedTable,
) -> Result<(), MergeError> {
    for cell in &table.superseded {
        space.release(cell.hosts())?;
    }
    match pair.parent.table_offset(l1_index) / CLUSTER_BYTES {
        0 => Ok(()),
        cluster => space.release(cluster..cluster + 1),
    }
}

/// What the merged image takes from the successor's file.
#[derive(Default)]
struct Held {
    range: Range<u64>,
    has_payloads: bool,
}

impl Held {
    /// Says how many clusters of the file are used for this table.
    fn add(&mut self, table: &MergedTable) -> u64 {
        let hosts = table.sources.iter().map(|source| match source {
            Source::Data(offset) => Cell::Data(*offset).hosts(),
            Source::Packed(packed) => packed.hosts(),
            // It is written, at the end.
            Source::Boundary | Source::Nothing | Source::Zero | Source::Parent(_) => 0..0,
        });
        let mut hosts: Vec<_> = hosts.filter(|hosts| !hosts.is_empty()).collect();
        hosts.sort_unstable_by_key(|hosts| hosts.start);
        let (mut clusters, mut counted) = (0, 0);
        for hosts in hosts {
            let range = hosts.start * CLUSTER_BYTES..hosts.end * CLUSTER_BYTES;
            if self.range.is_empty() {
                self.range = range;
            } else {
                self.range.start = self.range.start.min(range.start);
                self.range.end = self.range.end.max(range.end);
            }
            clusters += hosts.end - hosts.start.max(counted).min(hosts.end);
            counted = counted.max(hosts.end);
        }
        let is_payload = |source: &Source| matches!(source, Source::Packed(_));
        self.has_payloads |= table.sources.iter().any(is_payload);
        clusters
    }
}

/// A sink whose position is what places are given by.
struct Appender<'a> {
    sink: &'a mut dyn CopyingSink,
    watch: Watch<'a>,
}

impl Appender<'_> {
    fn position(&self) -> u64 {
        self.sink.position()
    }

    fn reserve(&mut self, length: u64) -> Result<(), MergeError> {
        let reserved = self.sink.reserve_head(length);
        reserved.map_err(|source| MergeError::Write { offset: 0, source })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), MergeError> {
        let offset = self.position();
        let appended = self.sink.append(bytes);
        appended.map_err(|source| MergeError::Write { offset, source })
    }

    fn pad(&mut self, until: u64) -> Result<(), MergeError> {
        let missing = until.saturating_sub(self.position());
        match usize::try_from(missing).unwrap_or_default() {
            0 => Ok(()),
            missing => self.append(&vec![0; missing]),
        }
    }

    fn copy(&mut self, from: MergeSource, range: Range<u64>) -> Result<(), MergeError> {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + COPY_BYTES);
            let offset = self.position();
            let copied = self.sink.append_copy(from, at..end);
            copied.map_err(|source| MergeError::Write { offset, source })?;
            if !(self.watch)(end - at) {
                return Err(MergeError::Stopped);
            }
            at = end;
        }
        Ok(())
    }
}
