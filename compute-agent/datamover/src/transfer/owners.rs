//! Which image of a chain owns a cluster, and what it must hold: the merge of the images' indexes, in
//! guest order and constant memory.

use agent_format::Digest;
use agent_format::index::{ClusterContent, IndexRecord};

use crate::transfer::error::JobError;
use crate::transfer::reading::StoredIndex;

/// The newest word on one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) cluster: u64,
    /// Counted from the newest image, 0.
    pub(crate) image: usize,
    /// None: declared to be zero.
    pub(crate) digest: Option<Digest>,
    /// A newer image is so small that only a part of the cluster is seen through it: the digest is not
    /// that of what the chain shows.
    pub(crate) is_cut: bool,
}

/// An image's index, and how much of the image is seen through those above it.
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) index: StoredIndex,
    pub(crate) size_bytes: u64,
    pub(crate) visible_bytes: u64,
}

pub(crate) struct Owners {
    images: Vec<Indexed>,
    next: Option<Owned>,
}

struct Indexed {
    layer: Layer,
    cluster_size: u64,
    head: Option<IndexRecord>,
}

impl Indexed {
    /// Goes to the next record that is seen. The others are read all the same: they are a part of what
    /// the digests cover.
    fn advance(&mut self) -> Result<(), JobError> {
        loop {
            let next = self.layer.index.next().transpose();
            self.head = next.map_err(|source| JobError::ReadIndex {
                image: self.layer.name.clone(),
                source,
            })?;
            if self
                .head
                .is_none_or(|head| self.start(head) < self.layer.visible_bytes)
            {
                return Ok(());
            }
        }
    }

    fn start(&self, record: IndexRecord) -> u64 {
        record.cluster.saturating_mul(self.cluster_size)
    }

    fn is_cut(&self, record: IndexRecord) -> bool {
        let end = self.start(record).saturating_add(self.cluster_size);
        self.layer.visible_bytes < end.min(self.layer.size_bytes)
    }
}

impl Owners {
    /// Of the images of a chain, newest first.
    pub(crate) fn new(layers: Vec<Layer>) -> Result<Self, JobError> {
        let mut images = Vec::with_capacity(layers.len());
        for layer in layers {
            let mut indexed = Indexed {
                cluster_size: layer.index.header().cluster_size.into(),
                layer,
                head: None,
            };
            indexed.advance()?;
            images.push(indexed);
        }
        let mut owners = Self { images, next: None };
        owners.find_next()?;
        Ok(owners)
    }

    /// The next cluster that any image says something about.
    pub(crate) fn peek(&self) -> Option<Owned> {
        self.next
    }

    /// Goes on behind it.
    pub(crate) fn find_next(&mut self) -> Result<(), JobError> {
        let lowest = self
            .images
            .iter()
            .filter_map(|image| image.head.map(|head| head.cluster))
            .min();
        self.next = None;
        for (image, indexed) in self.images.iter_mut().enumerate() {
            let Some(head) = indexed.head.filter(|head| Some(head.cluster) == lowest) else {
                continue;
            };
            // The newest comes first; what older ones hold of that cluster is covered.
            self.next.get_or_insert(Owned {
                cluster: head.cluster,
                image,
                digest: match head.content {
                    ClusterContent::Data(digest) => Some(digest),
                    ClusterContent::Zero => None,
                },
                is_cut: indexed.is_cut(head),
            });
            indexed.advance()?;
        }
        Ok(())
    }
}
