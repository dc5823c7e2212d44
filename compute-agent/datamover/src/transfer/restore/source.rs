//! The chain, opened and looked over before the first byte is written.

use agent_contract::{ImageDigests, RestoreJob};
use agent_format::Digest;
use agent_qcow2::{Chain, ChainImage};

use crate::transfer::error::{JobError, target};
use crate::transfer::owners::{Layer, Owners};
use crate::transfer::reading::{open_index, read_trailer};
use crate::transfer::run::{Place, Run};

pub(super) struct Source {
    pub(super) chain: Chain,
    places: Vec<Place>,
}

impl Source {
    pub(super) fn open(run: &Run<'_>, job: &RestoreJob) -> Result<Self, JobError> {
        let places = job.chain.iter().map(|image| run.host.place(image));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let images = places.iter().map(|place| {
            let data = place
                .target
                .open_image(&place.image)
                .map_err(target("open an image"))?;
            Ok(ChainImage {
                name: place.image.to_string(),
                data,
            })
        });
        let images = images.collect::<Result<Vec<_>, JobError>>()?;
        let chain = Chain::open(images).map_err(JobError::Chain)?;
        let source = Self { chain, places };
        source.check_links()?;
        source.check_digests(&job.digests)?;
        let found = source.chain.virtual_size();
        let expected = job.size_bytes;
        if found < expected {
            return Err(JobError::Size { expected, found });
        }
        Ok(source)
    }

    /// Each image must name the next one of the chain as its parent: the bytes of another would be
    /// verified well and make a disk that never was.
    fn check_links(&self) -> Result<(), JobError> {
        for ((image, place), parent) in self
            .chain
            .images()
            .iter()
            .zip(&self.places)
            .zip(self.places.iter().skip(1))
        {
            let name = image.header().backing_name.as_deref().unwrap_or_default();
            if place
                .image
                .resolve(name)
                .is_ok_and(|name| name == parent.image)
            {
                continue;
            }
            let (image, parent) = (&place.image, &parent.image);
            let message = format!("image {image} builds upon {name:?}, which is not {parent}");
            return Err(JobError::Refused(message));
        }
        Ok(())
    }

    /// Image and index must be those that the manifests mean.
    fn check_digests(&self, digests: &[ImageDigests]) -> Result<(), JobError> {
        if digests.is_empty() {
            return Ok(());
        }
        if digests.len() != self.places.len() {
            let (told, images) = (digests.len(), self.places.len());
            let message = format!("digests of {told} images were told, the chain has {images}");
            return Err(JobError::Refused(message));
        }
        for (number, (place, expected)) in self.places.iter().zip(digests).enumerate() {
            let parsed = |text: &str| {
                let digest = text.parse::<Digest>();
                digest.map_err(|error| JobError::Refused(error.to_string()))
            };
            let (head, index) = (
                parsed(&expected.image_blake3)?,
                parsed(&expected.index_blake3)?,
            );
            let image = self.chain.images().get(number).ok_or(JobError::Broken)?;
            if Digest::from(image.head_blake3().map_err(JobError::Chain)?) != head {
                return Err(self.damaged(number, 0, "its head is not the one of the manifest"));
            }
            if read_trailer(place)?.digest != index {
                return Err(self.damaged(number, 0, "its index is not the one of the manifest"));
            }
        }
        Ok(())
    }

    /// What the indexes say from `offset` on. An image that holds every cluster hides those below it,
    /// whose indexes may be damaged: it may have been made because of that.
    pub(super) fn owners(&self, offset: u64) -> Result<Owners, JobError> {
        let mut visible_bytes = u64::MAX;
        let mut layers = Vec::with_capacity(self.places.len());
        for (number, (place, image)) in self.places.iter().zip(self.chain.images()).enumerate() {
            let index = open_index(place)?;
            let header = *index.header();
            if u64::from(header.cluster_size) != self.chain.cluster_size() {
                return Err(self.damaged(number, 0, "its index has another cluster size"));
            }
            let size_bytes = image.header().virtual_size;
            visible_bytes = visible_bytes.min(size_bytes);
            layers.push(Layer {
                name: place.image.to_string(),
                index,
                size_bytes,
                visible_bytes,
            });
            if read_trailer(place)?.records == header.cluster_count() {
                break;
            }
        }
        let mut owners = Owners::new(layers)?;
        while owners
            .peek()
            .is_some_and(|next| next.cluster * self.chain.cluster_size() < offset)
        {
            owners.find_next()?;
        }
        Ok(owners)
    }

    pub(super) fn damaged(&self, image: usize, cluster: u64, what: &'static str) -> JobError {
        let name = self.places.get(image).map(|place| place.image.to_string());
        let offset = cluster.saturating_mul(self.chain.cluster_size());
        JobError::Damaged {
            image: name.unwrap_or_default(),
            offset,
            what,
        }
    }
}
