//! Which image of a chain owns a cluster, and what it must hold: the merge of the images' indexes, in
//! guest order and constant memory.

use agent_format::Digest;
use agent_format::index::{ClusterContent, IndexRecord};

use crate::transfer::error::JobError;
use crate::transfer::reading::StoredIndex;

/// The newest word on one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) cluster: u64,
    /// Counted from the newest image, 0.
    pub(super) image: usize,
    /// None: declared to be zero.
    pub(super) digest: Option<Digest>,
}

pub(super) struct Owners {
    images: Vec<Indexed>,
    next: Option<Owned>,
}

struct Indexed {
    name: String,
    index: StoredIndex,
    head: Option<IndexRecord>,
}

impl Indexed {
    fn advance(&mut self) -> Result<(), JobError> {
        let next = self.index.next().transpose();
        self.head = next.map_err(|source| JobError::ReadIndex {
            image: self.name.clone(),
            source,
        })?;
        Ok(())
    }
}

impl Owners {
    /// Of indexes with their images' names, newest first.
    pub(super) fn new(indexes: Vec<(String, StoredIndex)>) -> Result<Self, JobError> {
        let mut images = Vec::with_capacity(indexes.len());
        for (name, index) in indexes {
            let mut indexed = Indexed {
                name,
                index,
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
    pub(super) fn peek(&self) -> Option<Owned> {
        self.next
    }

    /// Goes on behind it.
    pub(super) fn find_next(&mut self) -> Result<(), JobError> {
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
            });
            indexed.advance()?;
        }
        Ok(())
    }
}
