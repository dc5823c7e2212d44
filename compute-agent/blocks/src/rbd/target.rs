//! An RBD image as a target.

use super::RbdImage;
use crate::{
    BlocksError, DiskSink, ErrorKind, NbdTarget, Settings, WriteDisk,
    nbd::Endpoint,
    qemu_nbd::{Access, Image, QemuNbd},
};

/// Written through a `qemu-nbd` of our own, which ends when this and its sinks are dropped: only then
/// is the image without watchers, so that others can attach or delete it.
#[derive(Debug)]
pub struct RbdTarget(NbdTarget);

impl RbdTarget {
    /// Opens an image that exists already.
    pub fn open(image: RbdImage, settings: &Settings) -> Result<Self, BlocksError> {
        if image.snapshot.is_some() {
            let doing = format!("write to {image}, which is a snapshot");
            return Err(BlocksError::new(ErrorKind::Invalid, doing));
        }
        let what = image.to_string();
        let server = QemuNbd::start(&Image::Rbd(image), Access::ReadWrite, settings)?;
        NbdTarget::open(Endpoint::of_server(server, what, settings)).map(Self)
    }
}

impl WriteDisk for RbdTarget {
    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }

    fn open_sink(&self) -> Result<Box<dyn DiskSink>, BlocksError> {
        self.0.open_sink()
    }
}
