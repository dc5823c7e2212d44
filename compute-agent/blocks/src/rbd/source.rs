//! An RBD snapshot as a source.

use std::sync::{Mutex, PoisonError};

use super::RbdImage;
use crate::{
    BlocksError, Changes, DiskReader, ErrorKind, ExtentStream, MapDisk, ReadDisk, Settings,
    nbd::Endpoint,
    qemu_nbd::{Access, Image, QemuNbd},
};

/// Knows what is allocated and what changed since another snapshot of the same image.
#[derive(Debug)]
pub struct RbdSource {
    image: RbdImage,
    settings: Settings,
    size_bytes: u64,
    /// Served from the first reader on: a plan alone needs no server.
    endpoint: Mutex<Option<Endpoint>>,
}

impl RbdSource {
    /// Looks the image up. It must stand still: name a snapshot, unless nobody writes.
    pub fn open(image: RbdImage, settings: &Settings) -> Result<Self, BlocksError> {
        let size_bytes = image.size_bytes(settings)?;
        Ok(Self {
            image,
            settings: settings.clone(),
            size_bytes,
            endpoint: Mutex::new(None),
        })
    }

    fn endpoint(&self) -> Result<Endpoint, BlocksError> {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = endpoint.as_ref() {
            return Ok(endpoint.clone());
        }
        let image = Image::Rbd(self.image.clone());
        let server = QemuNbd::start(&image, Access::ReadOnly, &self.settings)?;
        let served = Endpoint::of_server(server, self.image.to_string(), &self.settings);
        Ok(endpoint.insert(served).clone())
    }
}

impl ReadDisk for RbdSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Without holes: the extents of `rbd diff` are exact, and qemu would look the map of the
    /// image up for every single read.
    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        self.endpoint()?.open_reader(false)
    }
}

impl MapDisk for RbdSource {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        Ok(Box::new(self.image.diff(None, &self.settings)?))
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        if !self.image.has_snapshot(point, &self.settings)? {
            let reason = format!("{} has no snapshot {point} any more", self.image);
            return Ok(Changes::Unknown { reason });
        }
        let same = self.image.snapshot.as_deref() == Some(point);
        if same {
            let doing = format!("ask what {} holds since itself", self.image);
            return Err(BlocksError::new(ErrorKind::Invalid, doing));
        }
        Ok(Changes::Known(Box::new(
            self.image.diff(Some(point), &self.settings)?,
        )))
    }
}
