//! `ImageWriter`: one pass from the first guest cluster to the last, constant memory.
//!
//! An L2 table is written when the writer leaves its 512 MiB, a refcount block as soon as all the
//! clusters it counts have their place, the refcount table at the end, header and L1 last. Every
//! cluster has one user, but those that hold payloads of compressed clusters.
//!
//! What it keeps: the L1 table (32 KiB for 2 TiB), one open L2 table (64 KiB), the refcounts of the
//! last 2 GiB of the file (64 KiB, if they are not all 1), 8 bytes for each 2 GiB before, and 3 MiB that
//! are gathered before they go to the sink. A [`Checkpoint`] is the tables and counts, compactly.

mod checkpoint;
mod error;
mod open_table;
mod options;
mod output;
mod packer;
mod refcounts;
mod saved_table;

use std::ops::Range;

pub use checkpoint::Checkpoint;
pub use error::WriteError;
use open_table::OpenTable;
pub use options::{Backing, BackingFormat, Compression, ImageOptions};
use output::Output;
use packer::{Cut, Packer};
use refcounts::Refcounts;
use serde::{Deserialize, Serialize};

use crate::ImageSink;
use crate::compression::PAYLOAD_BYTES;
use crate::geometry::{CLUSTER_BYTES, Geometry, L2_ENTRIES};
use crate::header::{HeaderPlan, header_cluster};

/// Bit 63 of an L1 or L2 entry: the cluster has one user.
const FLAG_COPIED: u64 = 1 << 63;

/// Writes one image to a sink.
///
/// What it is given goes to the sink in large pieces, so a sink that is full may be noticed by a later
/// call. After an error the writer refuses everything: drop it and resume from the last checkpoint.
#[derive(Debug)]
pub struct ImageWriter<S> {
    output: Output<S>,
    packer: Packer,
    options: ImageOptions,
    geometry: Geometry,
    /// Host cluster of each L2 table, 0 for none, up to the last one written.
    l1: Vec<u64>,
    open: Option<OpenTable>,
    refcounts: Refcounts,
    next_guest_cluster: u64,
    counters: Counters,
    has_failed: bool,
}

/// What an image holds so far, in guest clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Clusters with data, compressed or not.
    pub data_clusters: u64,
    /// Clusters declared to be zero.
    pub zero_clusters: u64,
    /// Those of the data clusters that are compressed.
    #[serde(default)]
    pub compressed_clusters: u64,
    /// The length of their payloads.
    #[serde(default)]
    pub compressed_bytes: u64,
}

impl Counters {
    /// What the data needs in the file, metadata not counted.
    pub fn stored_bytes(&self) -> u64 {
        let raw_clusters = self.data_clusters - self.compressed_clusters.min(self.data_clusters);
        raw_clusters * CLUSTER_BYTES + self.compressed_bytes
    }
}

/// What the manifest says of a finished image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSummary {
    /// Length of the file.
    pub size_bytes: u64,
    /// The size in its header: the disk's, rounded up to 512.
    pub virtual_size: u64,
    /// What it holds.
    pub counters: Counters,
    /// BLAKE3 of its head (header and L1 table), [`crate::Image::head_blake3`] reads the same.
    pub head_blake3: [u8; 32],
}

impl<S: ImageSink> ImageWriter<S> {
    /// Begins an image on a fresh sink.
    pub fn create(mut sink: S, options: ImageOptions) -> Result<Self, WriteError> {
        options.validate()?;
        let geometry = Geometry::new(options.size_bytes, sink.head_minimum_bytes()).ok_or(
            WriteError::InvalidSize {
                size_bytes: options.size_bytes,
            },
        )?;
        if sink.position() != 0 {
            return Err(WriteError::SinkPosition {
                expected: 0,
                found: sink.position(),
            });
        }
        sink.reserve_head(geometry.reserved_bytes())
            .map_err(|source| WriteError::Sink { offset: 0, source })?;
        Ok(Self {
            refcounts: Refcounts::new(&geometry, Vec::new()),
            output: Output::new(sink),
            packer: Packer::new(),
            options,
            geometry,
            l1: Vec::new(),
            open: None,
            next_guest_cluster: 0,
            counters: Counters::default(),
            has_failed: false,
        })
    }

    /// Stores whole clusters from `guest_cluster` on. Only the disk's last cluster may be short: it
    /// must then reach the disk's end, and is filled with zeroes.
    pub fn write_data(&mut self, guest_cluster: u64, bytes: &[u8]) -> Result<(), WriteError> {
        let clusters = (bytes.len() as u64).div_ceil(CLUSTER_BYTES);
        self.check_turn(guest_cluster, clusters)?;
        let bytes = self.up_to_the_end(guest_cluster, bytes)?;
        self.guarded(|writer| writer.store(guest_cluster, bytes))
    }

    /// Stores a cluster as what a [`crate::Compressor`] of the image's compression made of it.
    pub fn write_compressed(
        &mut self,
        guest_cluster: u64,
        payload: &[u8],
    ) -> Result<(), WriteError> {
        self.check_turn(guest_cluster, 1)?;
        let (length, compression) = (payload.len(), self.options.compression);
        if compression == Compression::None || !PAYLOAD_BYTES.contains(&length) {
            return Err(WriteError::InvalidPayload {
                guest_cluster,
                length,
                compression,
            });
        }
        self.guarded(|writer| {
            writer.table_for(guest_cluster)?;
            if writer.packer.is_full() {
                writer.place_payloads(writer.packer.best_cut())?;
            }
            writer.packer.push(guest_cluster, payload);
            writer.counters.data_clusters += 1;
            writer.counters.compressed_clusters += 1;
            writer.counters.compressed_bytes += length as u64;
            writer.next_guest_cluster = guest_cluster + 1;
            Ok(())
        })
    }

    /// Declares clusters to be zero, whatever the parent holds there. In an image without a parent
    /// it only costs metadata: leave such clusters out instead.
    pub fn write_zero(&mut self, guest_clusters: Range<u64>) -> Result<(), WriteError> {
        let clusters = guest_clusters.end.saturating_sub(guest_clusters.start);
        self.check_turn(guest_clusters.start, clusters)?;
        self.guarded(|writer| {
            let mut at = guest_clusters.start;
            while at < guest_clusters.end {
                let table = writer.table_for(at)?;
                let end = guest_clusters.end.min(table.end());
                table.map_zero(at..end);
                writer.counters.zero_clusters += end - at;
                writer.next_guest_cluster = end;
                at = end;
            }
            Ok(())
        })
    }

    /// Makes the image so far durable and says how to go on from here after a crash.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, WriteError> {
        self.guarded(|writer| {
            writer.place_payloads(writer.packer.everything())?;
            writer.output.sync()
        })?;
        Ok(Checkpoint::of(self))
    }

    /// Completes the image. Only now it exists.
    pub fn finish(mut self) -> Result<ImageSummary, WriteError> {
        if self.has_failed {
            return Err(WriteError::FailedBefore);
        }
        self.close_table()?;
        let clusters = self.output.position() / CLUSTER_BYTES;
        let tail = self.refcounts.tail(clusters);
        for _ in tail.blocks {
            let block = self.refcounts.next_block(tail.clusters);
            let offset = self.output.append(&block)?;
            self.refcounts.placed(offset / CLUSTER_BYTES);
        }
        let refcount_table_offset = self.output.append(&self.refcounts.table())?;
        let plan = HeaderPlan {
            geometry: &self.geometry,
            backing: self.options.backing.as_ref(),
            compression: self.options.compression,
            refcount_table_offset,
            refcount_table_clusters: tail.table_clusters,
        };
        let mut head = header_cluster(&plan);
        head.extend(
            self.l1
                .iter()
                .flat_map(|table| entry_for(*table).to_be_bytes()),
        );
        head.resize(
            offset_in_memory(self.geometry.head_clusters * CLUSTER_BYTES),
            0,
        );
        let head_blake3 = blake3::hash(&head).into();
        head.resize(offset_in_memory(self.geometry.reserved_bytes()), 0);
        let summary = ImageSummary {
            size_bytes: self.output.position(),
            virtual_size: self.geometry.virtual_size(),
            counters: self.counters,
            head_blake3,
        };
        self.output.finish(&head)?;
        Ok(summary)
    }

    /// The first guest cluster that can still be written.
    pub fn next_guest_cluster(&self) -> u64 {
        self.next_guest_cluster
    }

    /// What the image holds so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Length of the file so far, what has not yet gone to the sink counted.
    pub fn position(&self) -> u64 {
        self.output.position() + self.packer.len() as u64
    }

    fn check_turn(&self, guest_cluster: u64, clusters: u64) -> Result<(), WriteError> {
        if self.has_failed {
            return Err(WriteError::FailedBefore);
        }
        if guest_cluster < self.next_guest_cluster {
            let next = self.next_guest_cluster;
            return Err(WriteError::OutOfOrder {
                guest_cluster,
                next,
            });
        }
        let all = self.geometry.guest_clusters();
        match guest_cluster.checked_add(clusters) {
            Some(end) if end <= all => Ok(()),
            _ => Err(WriteError::PastTheEnd {
                guest_cluster,
                clusters,
                all,
            }),
        }
    }

    /// Cuts off what lies past the disk's end; refuses what ends inside of a cluster before it.
    fn up_to_the_end<'a>(
        &self,
        guest_cluster: u64,
        bytes: &'a [u8],
    ) -> Result<&'a [u8], WriteError> {
        let left = self
            .geometry
            .size_bytes
            .saturating_sub(guest_cluster * CLUSTER_BYTES);
        let length = bytes.len() as u64;
        if length >= left {
            return Ok(bytes.get(..offset_in_memory(left)).unwrap_or(bytes));
        }
        if length.is_multiple_of(CLUSTER_BYTES) {
            Ok(bytes)
        } else {
            Err(WriteError::PartialCluster {
                guest_cluster,
                length,
            })
        }
    }

    fn guarded(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if self.has_failed {
            return Err(WriteError::FailedBefore);
        }
        let result = step(self);
        self.has_failed = result.is_err();
        result
    }

    fn store(&mut self, guest_cluster: u64, mut bytes: &[u8]) -> Result<(), WriteError> {
        let mut at = guest_cluster;
        while !bytes.is_empty() {
            let room = self.table_for(at)?.end() - at;
            let length = bytes.len().min(offset_in_memory(room * CLUSTER_BYTES));
            let (now, later) = bytes.split_at(length);
            let offset = self.output.append(now)?;
            let clusters = (length as u64).div_ceil(CLUSTER_BYTES);
            self.table_for(at)?.map_data(at..at + clusters, offset);
            self.place_refcount_blocks()?;
            self.counters.data_clusters += clusters;
            at += clusters;
            self.next_guest_cluster = at;
            bytes = later;
        }
        Ok(())
    }

    /// The open L2 table, which is made the one of `guest_cluster` first.
    fn table_for(&mut self, guest_cluster: u64) -> Result<&mut OpenTable, WriteError> {
        let l1_index = guest_cluster / L2_ENTRIES;
        if self
            .open
            .as_ref()
            .is_some_and(|table| table.l1_index() != l1_index)
        {
            self.close_table()?;
        }
        Ok(self.open.get_or_insert_with(|| OpenTable::new(l1_index)))
    }

    fn close_table(&mut self) -> Result<(), WriteError> {
        self.place_payloads(self.packer.everything())?;
        let Some(table) = self.open.take() else {
            return Ok(());
        };
        let offset = self.output.append(&table.to_bytes())?;
        self.l1.resize(offset_in_memory(table.l1_index()), 0);
        self.l1.push(offset / CLUSTER_BYTES);
        self.place_refcount_blocks()
    }

    /// Gives the payloads up to `cut` their place in the file. All of them belong to the open table.
    fn place_payloads(&mut self, cut: Cut) -> Result<(), WriteError> {
        let Some(table) = self.open.as_mut().filter(|_| cut.payloads > 0) else {
            return Ok(());
        };
        let offset = self.output.append(self.packer.bytes(cut))?;
        let payloads = self.packer.payloads(cut);
        for payload in payloads {
            let (start, length) = (payload.start as u64, payload.length as u64);
            table.map_packed(payload.guest_cluster, offset + start, length);
        }
        let users = packer::users(payloads);
        self.refcounts.share(offset / CLUSTER_BYTES, users);
        self.packer.remove(cut);
        self.place_refcount_blocks()
    }

    fn place_refcount_blocks(&mut self) -> Result<(), WriteError> {
        while self
            .refcounts
            .is_due(self.output.position() / CLUSTER_BYTES)
        {
            // All it counts lies before it, so every count in it is final.
            let block = self.refcounts.next_block(u64::MAX);
            let offset = self.output.append(&block)?;
            self.refcounts.placed(offset / CLUSTER_BYTES);
        }
        Ok(())
    }
}

fn entry_for(host_cluster: u64) -> u64 {
    if host_cluster == 0 {
        0
    } else {
        (host_cluster * CLUSTER_BYTES) | FLAG_COPIED
    }
}

/// For numbers that an earlier check has bounded far below what memory can hold.
fn offset_in_memory(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
