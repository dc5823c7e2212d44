//! An image and its index side by side, cut into batches to be read.

use std::collections::VecDeque;
use std::iter::Peekable;

use agent_format::Digest;
use agent_format::index::{ClusterContent, IndexRecord};
use agent_qcow2::{Chain, Extent, ExtentKind};

use super::report::Damage;
use crate::transfer::error::JobError;
use crate::transfer::reading::StoredIndex;

/// Guest bytes of a batch: enough for large reads, few enough for many threads.
const BATCH_BYTES: u64 = 2 << 20;

/// Clusters to be read, and what is wrong already.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) extents: Vec<Extent>,
    /// Of the extents, one after the other, with what each must hold.
    pub(super) clusters: Vec<(u64, Digest)>,
    pub(super) damage: Vec<Damage>,
}

impl Batch {
    pub(super) fn bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    fn is_full(&self) -> bool {
        self.bytes() >= BATCH_BYTES || self.damage.len() >= 1000
    }
}

/// See the module's head.
pub(super) struct Walk<'a> {
    chain: &'a Chain,
    index: Peekable<StoredIndex>,
    image: String,
    /// Where the next L2 table's part of the disk begins.
    offset: u64,
    /// Of the table that is looked at now.
    extents: VecDeque<Extent>,
    zeroes: VecDeque<u64>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(chain: &'a Chain, index: StoredIndex, image: String) -> Self {
        Self {
            chain,
            index: index.peekable(),
            image,
            offset: 0,
            extents: VecDeque::new(),
            zeroes: VecDeque::new(),
        }
    }

    /// None after the last.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, JobError> {
        let mut batch = Batch::default();
        while !batch.is_full() {
            if let Some(extent) = self.extents.pop_front() {
                self.take(extent, &mut batch)?;
                continue;
            }
            if self.offset >= self.chain.virtual_size() {
                self.end(&mut batch)?;
                break;
            }
            self.look_at_table(&mut batch)?;
        }
        let is_empty = batch.extents.is_empty() && batch.damage.is_empty();
        Ok((!is_empty).then_some(batch))
    }

    /// A table that is damaged says nothing of its part of the disk: the index is not compared there.
    fn look_at_table(&mut self, batch: &mut Batch) -> Result<(), JobError> {
        let start = self.offset;
        let end = start.saturating_add(self.chain.bytes_per_table());
        self.offset = end;
        let read = || {
            let extents = self.chain.extents(start..end).collect::<Result<_, _>>()?;
            Ok((extents, self.chain.declared_zero(start)?.into()))
        };
        match read().map_err(JobError::Chain) {
            Ok((extents, zeroes)) => (self.extents, self.zeroes) = (extents, zeroes),
            Err(error) if super::is_damage(&error) => {
                let what = services_foundation::error_chain::ErrorChain(&error).to_string();
                batch.damage.push(Damage::at(start, &what));
                while self.next_record(end)?.is_some() {}
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// As much of the extent as fits into the batch.
    fn take(&mut self, extent: Extent, batch: &mut Batch) -> Result<(), JobError> {
        let cluster_size = self.chain.cluster_size();
        let room = BATCH_BYTES.saturating_sub(batch.bytes()).max(cluster_size);
        let room = room - room % cluster_size;
        match extent.kind {
            ExtentKind::Zero => self.take_zero(extent, batch),
            ExtentKind::Data { image, host_offset } if extent.length > room => {
                self.extents.push_front(Extent {
                    guest_offset: extent.guest_offset + room,
                    length: extent.length - room,
                    kind: ExtentKind::Data {
                        image,
                        host_offset: host_offset + room,
                    },
                });
                let now = Extent {
                    length: room,
                    ..extent
                };
                self.take_data(now, batch)
            }
            _ => self.take_data(extent, batch),
        }
    }

    /// Clusters that the index does not know are read by nobody, and are damage.
    fn take_data(&mut self, extent: Extent, batch: &mut Batch) -> Result<(), JobError> {
        let cluster_size = self.chain.cluster_size();
        let clusters =
            extent.guest_offset / cluster_size..extent.guest_end().div_ceil(cluster_size);
        for cluster in clusters {
            self.pass_over(cluster, batch)?;
            let offset = cluster * cluster_size;
            match self.next_record(offset + cluster_size)? {
                Some(IndexRecord {
                    content: ClusterContent::Data(digest),
                    ..
                }) => {
                    batch.clusters.push((cluster, digest));
                    push(batch, super::part_of(&extent, offset, cluster_size));
                }
                Some(_) => {
                    let what = "its index has zeroes where the image has data";
                    batch.damage.push(Damage::at(offset, what));
                }
                None => {
                    let what = "its index does not know the cluster";
                    batch.damage.push(Damage::at(offset, what));
                }
            }
        }
        Ok(())
    }

    fn take_zero(&mut self, extent: Extent, batch: &mut Batch) -> Result<(), JobError> {
        let cluster_size = self.chain.cluster_size();
        let end = extent.guest_end();
        while let Some(cluster) = self.zeroes.front().copied()
            && cluster * cluster_size < end
        {
            self.zeroes.pop_front();
            self.pass_over(cluster, batch)?;
            let offset = cluster * cluster_size;
            match self.next_record(offset + cluster_size)? {
                Some(record) if record.content == ClusterContent::Zero => {}
                Some(_) => {
                    let what = "its index has data where the image has zeroes";
                    batch.damage.push(Damage::at(offset, what));
                }
                None => {
                    let what = "its index does not know that the cluster is zero";
                    batch.damage.push(Damage::at(offset, what));
                }
            }
        }
        self.pass_over(end.div_ceil(cluster_size), batch)
    }

    /// What the index has before the cluster, the image has not.
    fn pass_over(&mut self, cluster: u64, batch: &mut Batch) -> Result<(), JobError> {
        let cluster_size = self.chain.cluster_size();
        while let Some(record) = self.next_record(cluster.saturating_mul(cluster_size))? {
            let what = "its index has a cluster that the image has not";
            batch
                .damage
                .push(Damage::at(record.cluster * cluster_size, what));
        }
        Ok(())
    }

    fn end(&mut self, batch: &mut Batch) -> Result<(), JobError> {
        self.pass_over(u64::MAX, batch)
    }

    /// The next record of a cluster that begins before `end`.
    fn next_record(&mut self, end: u64) -> Result<Option<IndexRecord>, JobError> {
        let cluster_size = self.chain.cluster_size();
        let is_before = |record: &Result<IndexRecord, _>| match record {
            Ok(record) => record.cluster.saturating_mul(cluster_size) < end,
            Err(_) => true,
        };
        let next = self.index.next_if(is_before).transpose();
        next.map_err(|source| JobError::ReadIndex {
            image: self.image.clone(),
            source,
        })
    }
}

/// Neighbours that lie one after the other in the file are one extent again.
fn push(batch: &mut Batch, part: Option<Extent>) {
    let Some(part) = part else { return };
    if let (Some(last), ExtentKind::Data { host_offset, .. }) =
        (batch.extents.last_mut(), part.kind)
        && let ExtentKind::Data {
            host_offset: before,
            ..
        } = last.kind
        && last.guest_end() == part.guest_offset
        && before + last.length == host_offset
    {
        last.length += part.length;
        return;
    }
    batch.extents.push(part);
}
