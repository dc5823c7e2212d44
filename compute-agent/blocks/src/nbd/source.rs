//! Any NBD export as a source: what is allocated is what `base:allocation` says.

use std::path::Path;

use super::{
    endpoint::Endpoint,
    status::{BASE_ALLOCATION, StatusWalk},
};
use crate::{
    BlocksError, Changes, DiskReader, DiskSink, Extent, ExtentStream, MapDisk, ReadDisk, Settings,
    WriteDisk,
    extent::merge,
    qemu_nbd::{Access, Image, QemuNbd},
};

/// A disk behind NBD; it knows what is allocated, and not what changed.
#[derive(Debug)]
pub struct NbdSource {
    endpoint: Endpoint,
    size_bytes: u64,
    has_allocation: bool,
}

impl NbdSource {
    /// An export that is served already.
    pub fn open(endpoint: Endpoint) -> Result<Self, BlocksError> {
        let connection = endpoint.connect(&[BASE_ALLOCATION])?;
        let export = connection.export();
        let size_bytes = export.size_bytes;
        let has_allocation = export.context_id(BASE_ALLOCATION).is_some();
        Ok(Self {
            endpoint,
            size_bytes,
            has_allocation,
        })
    }

    /// A file or a block device, served read-only by a `qemu-nbd` of our own.
    pub fn of_image(image: &Image, settings: &Settings) -> Result<Self, BlocksError> {
        let server = QemuNbd::start(image, Access::ReadOnly, settings)?;
        Self::open(Endpoint::of_server(server, image.to_string(), settings))
    }

    /// A raw file, served read-only by a `qemu-nbd` of our own.
    pub fn of_raw_file(path: &Path, settings: &Settings) -> Result<Self, BlocksError> {
        Self::of_image(&Image::raw_file(path), settings)
    }
}

impl ReadDisk for NbdSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        self.endpoint.open_reader(true)
    }
}

impl MapDisk for NbdSource {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        if !self.has_allocation {
            // Nothing is known to be zero, so everything is read.
            let all = Extent::data(0, self.size_bytes);
            return Ok(Box::new((all.length > 0).then_some(Ok(all)).into_iter()));
        }
        let connection = self.endpoint.connect(&[BASE_ALLOCATION])?;
        let doing = self.endpoint.doing("ask for what is allocated in");
        let walk = StatusWalk::new(connection, BASE_ALLOCATION, 0..self.size_bytes)
            .map_err(|error| error.while_doing(doing.clone()))?;
        Ok(Box::new(merge(walk.map(move |run| match run {
            Ok(run) => Ok(run.as_allocation()),
            Err(error) => Err(error.while_doing(doing.clone())),
        }))))
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        let reason = format!("the storage does not track what changed since {point}");
        Ok(Changes::Unknown { reason })
    }
}

/// A writable export as a target.
#[derive(Debug)]
pub struct NbdTarget {
    endpoint: Endpoint,
    size_bytes: u64,
}

impl NbdTarget {
    /// An export that is served already.
    pub fn open(endpoint: Endpoint) -> Result<Self, BlocksError> {
        let size_bytes = endpoint.connect(&[])?.export().size_bytes;
        Ok(Self {
            endpoint,
            size_bytes,
        })
    }
}

impl WriteDisk for NbdTarget {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn open_sink(&self) -> Result<Box<dyn DiskSink>, BlocksError> {
        self.endpoint.open_sink()
    }
}
