//! `Chain`: an image and its ancestors, read as the one disk they are together.
//!
//! ```text
//! newest    . . D . . Z . .      D data, Z declared zero, . not held here
//! older     D . D . . D . .
//! oldest    D D . D . . . .
//! the disk  D D D D 0 0 0 0      the newest owner of a cluster wins, without one it is zero
//! ```
//! The disk is looked at in ranges of one L2 table (512 MiB with clusters of 64 KiB): for a range the
//! tables of the images are read one after the other, newest first, into one map, until every
//! cluster has its owner. So memory is one map and one table, whatever the length of the chain, and
//! the bytes of a cluster are read once.

mod error;
mod extents;
mod image;
mod range_map;
mod read;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

pub use error::ReadError;
pub use extents::{Extent, ExtentKind, Extents};
pub use image::{ChainImage, Image};
use range_map::RangeMap;

use crate::Decompressor;

/// The images of one disk, newest first. Shared by any number of threads.
#[derive(Debug)]
pub struct Chain {
    images: Vec<Image>,
    cluster_size: u64,
    virtual_size: u64,
    /// The range read last, for callers that go on where they were.
    recent: Mutex<Option<Arc<RangeMap>>>,
}

impl Chain {
    /// Opens `images`, newest first, down to one without a backing file. Whether each one's backing
    /// name means the next one is for the caller, who knows the names, to check
    /// ([`crate::Header::backing_name`]).
    pub fn open(images: Vec<ChainImage>) -> Result<Self, ReadError> {
        let mut opened: Vec<Image> = Vec::with_capacity(images.len());
        let mut visible_end = u64::MAX;
        for image in images {
            let image = Image::open(image, visible_end)?;
            visible_end = image.visible_end();
            opened.push(image);
        }
        let Some(newest) = opened.first() else {
            return Err(ReadError::NoImage);
        };
        let (cluster_size, virtual_size) =
            (newest.header().cluster_size(), newest.header().virtual_size);
        let last = opened.len() - 1;
        for (n, image) in opened.iter().enumerate() {
            image.check_place(cluster_size, n == last)?;
        }
        Ok(Self {
            images: opened,
            cluster_size,
            virtual_size,
            recent: Mutex::new(None),
        })
    }

    /// Opens one image without what it builds upon: what it does not hold itself reads as zeroes. For
    /// those who look at an image and not at a disk.
    pub fn open_alone(image: ChainImage) -> Result<Self, ReadError> {
        let image = Image::open(image, u64::MAX)?;
        Ok(Self {
            cluster_size: image.header().cluster_size(),
            virtual_size: image.header().virtual_size,
            images: vec![image],
            recent: Mutex::new(None),
        })
    }

    /// The clusters that are declared to be zero, of those that share an L2 table with the one at
    /// `offset`, in order. They are zeroes among the [`extents`](Self::extents), like those that
    /// no image holds.
    pub fn declared_zero(&self, offset: u64) -> Result<Vec<u64>, ReadError> {
        if offset >= self.virtual_size {
            return Ok(Vec::new());
        }
        Ok(self.range_map(offset)?.declared_zero().collect())
    }

    /// How much of the disk one L2 table maps.
    pub fn bytes_per_table(&self) -> u64 {
        self.cluster_size * (self.cluster_size / 8)
    }

    /// The size of the disk as the newest image has it: the true one rounded up to 512.
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    /// The cluster size that all images share.
    pub fn cluster_size(&self) -> u64 {
        self.cluster_size
    }

    /// The images, newest first: [`ExtentKind`] counts them in this order.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// What the disk holds in `range`, in guest order, without gaps, each extent as long as its
    /// bytes lie contiguously in one file, but within one range of an L2 table. What lies past the
    /// disk's end is left out.
    pub fn extents(&self, range: Range<u64>) -> Extents<'_> {
        Extents::new(self, range.start..range.end.min(self.virtual_size))
    }

    /// Fills `buffer` with the disk's bytes from `offset`.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), ReadError> {
        let length = buffer.len() as u64;
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= self.virtual_size);
        let size = self.virtual_size;
        let end = end.ok_or(ReadError::OutOfRange {
            offset,
            length,
            size,
        })?;
        let extents = self.extents(offset..end);
        let extents = extents.collect::<Result<Vec<_>, _>>()?;
        self.read_extents(&extents, buffer, &mut Decompressor::new())
    }

    fn image(&self, index: usize) -> Result<&Image, ReadError> {
        self.images.get(index).ok_or(ReadError::NoImage)
    }

    /// The map of the range that holds `offset`.
    fn range_map(&self, offset: u64) -> Result<Arc<RangeMap>, ReadError> {
        let mut recent = self
            .recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(map) = recent.take_if(|map| map.range().contains(&offset)) {
            return Ok(map);
        }
        let map = Arc::new(RangeMap::read(self, offset)?);
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&map));
        Ok(map)
    }
}
