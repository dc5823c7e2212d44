//! Going on after a crash without reading a finished cluster again.

use serde::{Deserialize, Serialize};

use super::refcounts::Refcounts;
use super::{Counters, ImageOptions, ImageWriter, OpenTable, Output, Packer, WriteError};
use crate::ImageSink;
use crate::geometry::{CLUSTER_BYTES, Geometry, REFCOUNTS_PER_BLOCK};

const VERSION: u32 = 1;

/// The state of an [`ImageWriter`] whose file was durable when it was taken.
///
/// As JSON about 8 bytes for each 512 MiB written, 8 for each 2 GiB of file, and what is in the
/// open L2 table, as runs; for a compressed image up to 150 KiB more, for the lengths of the table's
/// payloads and the users of the clusters that are in no refcount block yet. Persist it before relying on it; an older one is as good, it only
/// repeats more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    options: ImageOptions,
    reserved_bytes: u64,
    next_guest_cluster: u64,
    length_bytes: u64,
    /// In clusters, as all places in here, since those are short numbers.
    l1: Vec<u64>,
    open: Option<OpenTable>,
    refcount_blocks: Vec<u64>,
    /// Users of clusters that hold payloads and are in no refcount block yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shared: Vec<(u64, Vec<u16>)>,
    counters: Counters,
}

impl Checkpoint {
    pub(super) fn of<S: ImageSink>(writer: &ImageWriter<S>) -> Self {
        Self {
            version: VERSION,
            options: writer.options.clone(),
            reserved_bytes: writer.geometry.reserved_bytes(),
            next_guest_cluster: writer.next_guest_cluster,
            length_bytes: writer.output.position(),
            l1: writer.l1.clone(),
            open: writer.open.clone(),
            refcount_blocks: writer.refcounts.blocks().to_vec(),
            shared: writer.refcounts.shared(),
            counters: writer.counters,
        }
    }

    /// The length that the sink must be reopened at.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// The first guest cluster that is not in the file yet.
    pub fn next_guest_cluster(&self) -> u64 {
        self.next_guest_cluster
    }

    /// The options that the image was begun with.
    pub fn options(&self) -> &ImageOptions {
        &self.options
    }

    /// What the image holds at this point.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What contradicts itself or `options`, if anything: it came from a disk after a crash.
    fn fault(&self, options: &ImageOptions, geometry: &Geometry) -> Option<&'static str> {
        let host_clusters = self.length_bytes / CLUSTER_BYTES;
        let done_tables = match &self.open {
            Some(table) => table.l1_index(),
            None => geometry.l1_entries(),
        };
        let in_file = |place: &u64| *place < host_clusters;
        let next_is_possible = match &self.open {
            Some(table) => table.is_possible(self.next_guest_cluster, host_clusters),
            None => self.next_guest_cluster == 0,
        };
        let rules = [
            (self.version == VERSION, "unknown version"),
            (
                self.options == *options,
                "it was taken of an image with other options",
            ),
            (
                self.reserved_bytes == geometry.reserved_bytes(),
                "the sink reserves another head",
            ),
            (
                self.length_bytes >= self.reserved_bytes,
                "it is shorter than a head",
            ),
            (
                self.length_bytes.is_multiple_of(CLUSTER_BYTES),
                "its length is no whole cluster",
            ),
            (
                self.next_guest_cluster <= geometry.guest_clusters(),
                "it is past the disk's end",
            ),
            (
                self.l1.len() as u64 <= done_tables,
                "its L1 table is too long",
            ),
            (
                self.l1.iter().all(in_file),
                "its L1 table points past the end of the file",
            ),
            (next_is_possible, "its open table is impossible"),
            (
                self.refcount_blocks.len() as u64 == Refcounts::expected_blocks(host_clusters)
                    && self.refcount_blocks.iter().all(in_file),
                "its refcount blocks are impossible",
            ),
            (
                self.has_possible_users(host_clusters),
                "its counts of users are impossible",
            ),
        ];
        rules
            .into_iter()
            .find(|(holds, _)| !holds)
            .map(|(_, what)| what)
    }

    fn has_possible_users(&self, host_clusters: u64) -> bool {
        let mut from = self.refcount_blocks.len() as u64 * REFCOUNTS_PER_BLOCK;
        self.shared.iter().all(|(first, users)| {
            let end = first.checked_add(users.len() as u64);
            let is_possible = *first >= from && end.is_some_and(|end| end <= host_clusters);
            from = end.unwrap_or(u64::MAX);
            is_possible && !users.contains(&0)
        })
    }
}

impl<S: ImageSink> ImageWriter<S> {
    /// Goes on after `checkpoint`, begun with the same `options`; `sink` must have been reopened at its
    /// length.
    pub fn resume(
        sink: S,
        options: ImageOptions,
        checkpoint: Checkpoint,
    ) -> Result<Self, WriteError> {
        options.validate()?;
        let geometry = Geometry::new(options.size_bytes, sink.head_minimum_bytes()).ok_or(
            WriteError::InvalidSize {
                size_bytes: options.size_bytes,
            },
        )?;
        if let Some(what) = checkpoint.fault(&options, &geometry) {
            return Err(WriteError::BadCheckpoint { what });
        }
        let (expected, found) = (checkpoint.length_bytes, sink.position());
        if expected != found {
            return Err(WriteError::SinkPosition { expected, found });
        }
        let mut refcounts = Refcounts::new(&geometry, checkpoint.refcount_blocks);
        for (first, users) in checkpoint.shared {
            refcounts.share(first, users.into_iter());
        }
        Ok(Self {
            refcounts,
            output: Output::new(sink),
            packer: Packer::new(),
            options,
            geometry,
            l1: checkpoint.l1,
            open: checkpoint.open,
            next_guest_cluster: checkpoint.next_guest_cluster,
            counters: checkpoint.counters,
            has_failed: false,
        })
    }
}
