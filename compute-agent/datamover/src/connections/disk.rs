//! A connected volume as a disk.

use std::path::PathBuf;

use agent_blocks::nbd::Endpoint;
use agent_blocks::qemu_nbd::{Access, FileFormat, Image, Layer, QemuNbd};
use agent_blocks::{
    BlocksError, DiskSource, ErrorKind, FileSource, FileTarget, NbdTarget, ReadDisk, Settings,
    WriteDisk,
};
use agent_contract::ConnectionId;

use super::Connections;
use super::entry::Phase;
use super::share::{ShareSnapshot, chain_within, layers_of_snapshot};

/// What a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Volume {
    /// A file on a share.
    File { path: PathBuf, format: FileFormat },
    /// A block device; for os-brick's `local` driver also a file that is used like one.
    Device { path: PathBuf },
}

impl Volume {
    pub(super) fn size_bytes(&self, settings: &Settings) -> Result<u64, BlocksError> {
        match self {
            Self::File {
                path,
                format: FileFormat::Qcow2,
            } => {
                let layer = Layer {
                    path: path.clone(),
                    format: FileFormat::Qcow2,
                };
                Ok(agent_blocks::qemu_img::info(&layer, settings)?.virtual_size)
            }
            Self::File { path, .. } | Self::Device { path } => {
                Ok(FileSource::open(path)?.size_bytes())
            }
        }
    }
}

impl Connections {
    /// The volume, or a snapshot of it that is a file beside it.
    pub(crate) fn source(
        &self,
        id: ConnectionId,
        snapshot: Option<&str>,
    ) -> Result<Box<dyn DiskSource>, BlocksError> {
        let settings = &self.0.blocks;
        match (self.volume(id)?, snapshot) {
            (Volume::File { path, .. }, Some(snapshot)) => {
                let layers = layers_of_snapshot(&path, snapshot, settings)?;
                let source = ShareSnapshot::open(&path, snapshot, layers, settings)?;
                Ok(Box::new(source))
            }
            (Volume::Device { .. }, Some(_)) => {
                let doing = "read a snapshot of a volume that is no file";
                Err(BlocksError::new(ErrorKind::Invalid, doing))
            }
            (
                Volume::File {
                    path,
                    format: FileFormat::Qcow2,
                },
                None,
            ) => {
                let image = Image::Layers(qcow2_chain(path, settings)?);
                Ok(Box::new(agent_blocks::NbdSource::of_image(
                    &image, settings,
                )?))
            }
            (Volume::File { path, .. } | Volume::Device { path }, None) => {
                Ok(Box::new(FileSource::open(&path)?))
            }
        }
    }

    /// The volume, to be written.
    pub(crate) fn destination(
        &self,
        id: ConnectionId,
        snapshot: Option<&str>,
    ) -> Result<Box<dyn WriteDisk>, BlocksError> {
        if snapshot.is_some() {
            let doing = "write to a snapshot of a volume";
            return Err(BlocksError::new(ErrorKind::Invalid, doing));
        }
        let settings = &self.0.blocks;
        match self.volume(id)? {
            Volume::File {
                path,
                format: FileFormat::Qcow2,
            } => {
                let image = Image::Layers(qcow2_chain(path, settings)?);
                let what = image.to_string();
                let server = QemuNbd::start(&image, Access::ReadWrite, settings)?;
                let endpoint = Endpoint::of_server(server, what, settings);
                Ok(Box::new(NbdTarget::open(endpoint)?))
            }
            Volume::File { path, .. } | Volume::Device { path } => {
                Ok(Box::new(FileTarget::open(&path)?))
            }
        }
    }

    fn volume(&self, id: ConnectionId) -> Result<Volume, BlocksError> {
        let known = self.lock().get(&id).cloned();
        let not_open = |kind| {
            let doing = format!("use connection {id}, which is not open");
            BlocksError::new(kind, doing)
        };
        let known = known.ok_or_else(|| not_open(ErrorKind::NotFound))?;
        let entry = known.lock();
        match &entry.phase {
            Phase::Open { path, .. } => Ok(entry.volume(path)),
            _ => Err(not_open(ErrorKind::Unavailable)),
        }
    }
}

fn qcow2_chain(path: PathBuf, settings: &Settings) -> Result<Vec<Layer>, BlocksError> {
    let top = Layer {
        path,
        format: FileFormat::Qcow2,
    };
    chain_within(&top, settings)
}
