//! What the disk held at the backup before, by the indexes of its chain: the old snapshot is not read.
//!
//! What cannot be told any more (an index is missing or damaged) is unknown from there on, and all of it
//! is backed up again: never is a cluster taken for the same without its digest.

use agent_format::{Digest, ObjectName};
use agent_qcow2::CLUSTER_BYTES;
use agent_target::ErrorKind;
use services_foundation::error_chain::ErrorChain;

use crate::transfer::clusters::CLUSTER;
use crate::transfer::error::JobError;
use crate::transfer::lineage::{ancestors, header_of};
use crate::transfer::owners::{Layer, Owners};
use crate::transfer::reading::open_index;
use crate::transfer::run::Place;

/// What a cluster held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) cluster: u64,
    /// None: it is not known.
    pub(super) digest: Option<Digest>,
}

/// The clusters that held data, in order. All others were zero, before the first unknown one.
pub(super) struct Previous {
    owners: Option<Owners>,
    unknown_from: u64,
    warning: Option<String>,
}

impl Previous {
    /// Of `backing` and its ancestors, as they are seen through an image of a disk of `size_bytes`.
    pub(super) fn open(backing: &Place, size_bytes: u64) -> Result<Self, JobError> {
        let target = backing.target.as_ref();
        let chain = ancestors(target, &backing.image)?;
        // In whole sectors, as the images have it.
        let mut visible_bytes = size_bytes.next_multiple_of(512);
        let layers = chain.into_iter().map(|(image, header)| {
            visible_bytes = visible_bytes.min(header.virtual_size);
            layer(backing, image, header.virtual_size, visible_bytes)
        });
        match layers.collect::<Result<_, _>>().and_then(Owners::new) {
            Ok(owners) => Ok(Self {
                owners: Some(owners),
                unknown_from: u64::MAX,
                warning: None,
            }),
            Err(error) => {
                let mut unknown = Self {
                    owners: None,
                    unknown_from: u64::MAX,
                    warning: None,
                };
                unknown.lose(0, error)?;
                Ok(unknown)
            }
        }
    }

    /// From this cluster on nothing is known.
    pub(super) fn unknown_from(&self) -> u64 {
        self.unknown_from
    }

    /// What to tell, once.
    pub(super) fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// The next cluster before `end` that did not hold zeroes, if there is one.
    pub(super) fn next_before(&mut self, end: u64) -> Result<Option<Held>, JobError> {
        while let Some(owners) = self.owners.as_mut() {
            let Some(owned) = owners.peek().filter(|owned| owned.cluster < end) else {
                return Ok(None);
            };
            if let Err(error) = owners.find_next() {
                self.lose(owned.cluster + 1, error)?;
            }
            if owned.digest.is_some() || owned.is_cut {
                return Ok(Some(Held {
                    cluster: owned.cluster,
                    digest: owned.digest.filter(|_| !owned.is_cut),
                }));
            }
        }
        Ok(None)
    }

    fn lose(&mut self, from: u64, error: JobError) -> Result<(), JobError> {
        if !is_lost(&error) {
            return Err(error);
        }
        let offset = from * CLUSTER_BYTES;
        self.warning = Some(format!(
            "what the disk held before cannot be told from offset {offset} on, so all of it was backed up \
             again: {}",
            ErrorChain(&error)
        ));
        (self.owners, self.unknown_from) = (None, from);
        Ok(())
    }
}

/// Whether it would be the same at the next attempt.
fn is_lost(error: &JobError) -> bool {
    match error {
        JobError::Damaged { .. } => true,
        JobError::ReadIndex {
            source: agent_format::index::IndexReadError::Io { .. },
            ..
        }
        | JobError::Target { .. } => {
            matches!(
                ErrorKind::of(error),
                ErrorKind::NotFound | ErrorKind::Corrupt
            )
        }
        JobError::ReadIndex { .. } => true,
        _ => false,
    }
}

fn layer(
    backing: &Place,
    image: ObjectName,
    size_bytes: u64,
    visible_bytes: u64,
) -> Result<Layer, JobError> {
    let place = backing.beside(image)?;
    let index = open_index(&place)?;
    let header = index.header();
    let name = place.image.to_string();
    let is_of_image = header.size_bytes.next_multiple_of(512) == size_bytes;
    if header.cluster_size as usize != CLUSTER || !is_of_image {
        return Err(JobError::Damaged {
            image: name,
            offset: 0,
            what: "its index is of another disk",
        });
    }
    Ok(Layer {
        name,
        index,
        size_bytes,
        visible_bytes,
    })
}

/// The disk's size at the backup before, or in whole sectors where only the image tells it.
pub(super) fn size_before(backing: &Place) -> Result<u64, JobError> {
    match open_index(backing) {
        Ok(index) => Ok(index.header().size_bytes),
        Err(error) if is_lost(&error) => {
            let header = header_of(backing.target.as_ref(), &backing.image)?;
            Ok(header.virtual_size)
        }
        Err(error) => Err(error),
    }
}
