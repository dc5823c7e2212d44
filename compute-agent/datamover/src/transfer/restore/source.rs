//! The chain as verified pieces, in guest order: what an image holds must be what its index says, no
//! more and no less.

use agent_contract::RestoreJob;
use agent_format::Digest;
use agent_qcow2::{Chain, ChainImage, Extent, ExtentKind};

use super::owners::{Owned, Owners};
use crate::transfer::error::{JobError, target};
use crate::transfer::reading::open_index;
use crate::transfer::run::{Place, Run};

/// Read at once; whole clusters.
const PIECE_BYTES: u64 = 1 << 20;

/// A part of the disk.
pub(super) enum Piece {
    Data { offset: u64, bytes: Vec<u8> },
    Zero { offset: u64, length: u64 },
}

pub(super) struct Source {
    chain: Chain,
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

    /// Bytes that an image of the chain holds from `offset` to the disk's end.
    pub(super) fn data_bytes(&self, offset: u64, end: u64) -> Result<u64, JobError> {
        let mut sum = 0;
        for extent in self.chain.extents(offset..end) {
            let extent = extent.map_err(JobError::Chain)?;
            if extent.kind != ExtentKind::Zero {
                sum += extent.length;
            }
        }
        Ok(sum)
    }

    /// Hands out all pieces from `offset` on; stops when `take` answers false.
    pub(super) fn pieces(
        &self,
        offset: u64,
        mut take: impl FnMut(Piece) -> Result<bool, JobError>,
    ) -> Result<(), JobError> {
        let mut owners = self.owners(offset)?;
        for extent in self.chain.extents(offset..u64::MAX) {
            let extent = extent.map_err(JobError::Chain)?;
            let goes_on = match extent.kind {
                ExtentKind::Zero => {
                    self.check_zero(&extent, &mut owners)?;
                    take(Piece::Zero {
                        offset: extent.guest_offset,
                        length: extent.length,
                    })?
                }
                ExtentKind::Data { image, .. } | ExtentKind::Compressed { image, .. } => {
                    self.read(&extent, image, &mut owners, &mut take)?
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
        match owners.peek() {
            Some(left) => {
                Err(self.damaged(left.image, left.cluster, "it ends before its index does"))
            }
            None => Ok(()),
        }
    }

    fn owners(&self, offset: u64) -> Result<Owners, JobError> {
        let indexes = self.places.iter().map(|place| {
            let index = open_index(place)?;
            if u64::from(index.header().cluster_size) != self.chain.cluster_size() {
                let image = place.image.to_string();
                let what = "its index has another cluster size";
                return Err(JobError::Damaged {
                    image,
                    offset: 0,
                    what,
                });
            }
            Ok((place.image.to_string(), index))
        });
        let mut owners = Owners::new(indexes.collect::<Result<_, _>>()?)?;
        while owners
            .peek()
            .is_some_and(|next| next.cluster * self.chain.cluster_size() < offset)
        {
            owners.find_next()?;
        }
        Ok(owners)
    }

    fn check_zero(&self, extent: &Extent, owners: &mut Owners) -> Result<(), JobError> {
        let cluster_size = self.chain.cluster_size();
        while let Some(next) = owners.peek()
            && next.cluster * cluster_size < extent.guest_end()
        {
            if next.digest.is_some() {
                let what = "its index has data where the image has none";
                return Err(self.damaged(next.image, next.cluster, what));
            }
            owners.find_next()?;
        }
        Ok(())
    }

    fn read(
        &self,
        extent: &Extent,
        image: usize,
        owners: &mut Owners,
        take: &mut impl FnMut(Piece) -> Result<bool, JobError>,
    ) -> Result<bool, JobError> {
        let mut skip = 0;
        while skip < extent.length {
            let length = PIECE_BYTES.min(extent.length - skip);
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            self.chain
                .read_extent(extent, skip, &mut bytes)
                .map_err(JobError::Chain)?;
            let offset = extent.guest_offset + skip;
            self.verify(offset, &bytes, image, owners)?;
            if !take(Piece::Data { offset, bytes })? {
                return Ok(false);
            }
            skip += length;
        }
        Ok(true)
    }

    fn verify(
        &self,
        offset: u64,
        bytes: &[u8],
        image: usize,
        owners: &mut Owners,
    ) -> Result<(), JobError> {
        let cluster_size = self.chain.cluster_size();
        let length = usize::try_from(cluster_size).unwrap_or(usize::MAX);
        for (cluster, bytes) in (offset / cluster_size..).zip(bytes.chunks(length)) {
            let expected = owners.peek().filter(|next| next.cluster == cluster);
            let Some(Owned {
                image: owner,
                digest: Some(digest),
                ..
            }) = expected
            else {
                return Err(self.damaged(image, cluster, "its index does not know the cluster"));
            };
            if owner != image {
                let what = "its index has a cluster that the image has not";
                return Err(self.damaged(owner, cluster, what));
            }
            if Digest::of_cluster(bytes, length) != digest {
                return Err(self.damaged(
                    image,
                    cluster,
                    "the bytes are not those that were backed up",
                ));
            }
            owners.find_next()?;
        }
        Ok(())
    }

    fn damaged(&self, image: usize, cluster: u64, what: &'static str) -> JobError {
        let name = self.places.get(image).map(|place| place.image.to_string());
        let offset = cluster.saturating_mul(self.chain.cluster_size());
        JobError::Damaged {
            image: name.unwrap_or_default(),
            offset,
            what,
        }
    }
}
