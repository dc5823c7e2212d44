//! The disk cut into batches, in guest order: where the bytes are and what they must be. What an image
//! holds must be what its index says, no more and no less.

use agent_format::Digest;
use agent_qcow2::{Extent, ExtentKind, Extents};

use super::source::Source;
use crate::transfer::error::JobError;
use crate::transfer::owners::{Owned, Owners};

/// Data of a batch.
const BATCH_BYTES: u64 = 2 << 20;
const MOST_PARTS: usize = 256;

/// What one thread does at once.
pub(super) struct Batch {
    pub(super) parts: Vec<Part>,
    /// Where the disk's next batch begins.
    pub(super) end: u64,
}

/// A part of the disk.
pub(super) enum Part {
    Zero { offset: u64, length: u64 },
    Data(Run),
}

/// Data without a gap, of one image or several.
pub(super) struct Run {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) extents: Vec<Extent>,
    /// The image of each cluster and what it must hold.
    pub(super) clusters: Vec<(usize, Digest)>,
}

pub(super) struct Batches<'a> {
    source: &'a Source,
    extents: Extents<'a>,
    owners: Owners,
    /// Not yet in a batch.
    rest: Option<Extent>,
    is_over: bool,
}

impl<'a> Batches<'a> {
    pub(super) fn new(source: &'a Source, offset: u64) -> Result<Self, JobError> {
        Ok(Self {
            source,
            extents: source.chain.extents(offset..u64::MAX),
            owners: source.owners(offset)?,
            rest: None,
            is_over: false,
        })
    }

    /// None after the last.
    pub(super) fn next(&mut self) -> Result<Option<Batch>, JobError> {
        let (mut parts, mut data_bytes, mut end) = (Vec::new(), 0, 0);
        while parts.len() < MOST_PARTS && data_bytes < BATCH_BYTES {
            let Some(extent) = self.next_extent(BATCH_BYTES - data_bytes)? else {
                break;
            };
            end = extent.guest_end();
            match extent.kind {
                ExtentKind::Zero => {
                    self.check_zero(&extent)?;
                    parts.push(Part::Zero {
                        offset: extent.guest_offset,
                        length: extent.length,
                    });
                }
                ExtentKind::Data { image, .. } | ExtentKind::Compressed { image, .. } => {
                    data_bytes += extent.length;
                    let clusters = self.expected(&extent, image)?;
                    push_data(&mut parts, extent, clusters);
                }
            }
        }
        if parts.is_empty() {
            self.check_end()?;
            return Ok(None);
        }
        Ok(Some(Batch { parts, end }))
    }

    /// Not more data than there is room for, but a whole cluster.
    fn next_extent(&mut self, room: u64) -> Result<Option<Extent>, JobError> {
        let next = match self.rest.take() {
            Some(rest) => Some(rest),
            None => self.extents.next().transpose().map_err(JobError::Chain)?,
        };
        let Some(mut extent) = next else {
            return Ok(None);
        };
        let cluster_size = self.source.chain.cluster_size();
        let most = (room - room % cluster_size).max(cluster_size);
        if let ExtentKind::Data { image, host_offset } = extent.kind
            && extent.length > most
        {
            self.rest = Some(Extent {
                guest_offset: extent.guest_offset + most,
                length: extent.length - most,
                kind: ExtentKind::Data {
                    image,
                    host_offset: host_offset + most,
                },
            });
            extent.length = most;
        }
        Ok(Some(extent))
    }

    fn check_zero(&mut self, extent: &Extent) -> Result<(), JobError> {
        let cluster_size = self.source.chain.cluster_size();
        while let Some(next) = self.owners.peek()
            && next.cluster * cluster_size < extent.guest_end()
        {
            if next.digest.is_some() {
                let what = "its index has data where the image has none";
                return Err(self.source.damaged(next.image, next.cluster, what));
            }
            self.owners.find_next()?;
        }
        Ok(())
    }

    /// What the indexes say of the clusters of an extent, which must be of the same image.
    fn expected(
        &mut self,
        extent: &Extent,
        image: usize,
    ) -> Result<Vec<(usize, Digest)>, JobError> {
        let cluster_size = self.source.chain.cluster_size();
        let clusters =
            extent.guest_offset / cluster_size..extent.guest_end().div_ceil(cluster_size);
        let mut digests =
            Vec::with_capacity(usize::try_from(clusters.end - clusters.start).unwrap_or(0));
        for cluster in clusters {
            let expected = self.owners.peek().filter(|next| next.cluster == cluster);
            let Some(Owned {
                image: owner,
                digest: Some(digest),
                ..
            }) = expected
            else {
                let what = "its index does not know the cluster";
                return Err(self.source.damaged(image, cluster, what));
            };
            if owner != image {
                let what = "its index has a cluster that the image has not";
                return Err(self.source.damaged(owner, cluster, what));
            }
            digests.push((image, digest));
            self.owners.find_next()?;
        }
        Ok(digests)
    }

    fn check_end(&mut self) -> Result<(), JobError> {
        match self.owners.peek() {
            Some(left) if !self.is_over => {
                self.is_over = true;
                let what = "it ends before its index does";
                Err(self.source.damaged(left.image, left.cluster, what))
            }
            _ => Ok(()),
        }
    }
}

fn push_data(parts: &mut Vec<Part>, extent: Extent, clusters: Vec<(usize, Digest)>) {
    if let Some(Part::Data(run)) = parts.last_mut() {
        run.length += extent.length;
        run.extents.push(extent);
        run.clusters.extend(clusters);
        return;
    }
    parts.push(Part::Data(Run {
        offset: extent.guest_offset,
        length: extent.length,
        extents: vec![extent],
        clusters,
    }));
}
