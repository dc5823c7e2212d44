//! The files of a stopped guest. Nothing is written to them, so that nothing of ours keeps the guest
//! from being started; whether it was, is found out at the end of each reading.

use std::path::Path;

use agent_blocks::qemu_img::{chain, info};
use agent_blocks::qemu_nbd::{FileFormat, Layer};
use agent_blocks::{BlocksError, ErrorKind};
use agent_contract::{PointDisk, Refusal, TakenDisk};

use super::Points;
use super::entry::FilePart;
use super::stamp::Stamp;
use super::take::is_mark;
use crate::refused::by_storage;

impl Points {
    pub(super) fn still_part(
        &self,
        asked: &PointDisk,
        path: &Path,
        format: FileFormat,
        taken: &mut TakenDisk,
    ) -> Result<FilePart, Refusal> {
        let part = self.look_at(asked, path, format, taken);
        part.map_err(|error| by_storage(&error))
    }

    fn look_at(
        &self,
        asked: &PointDisk,
        path: &Path,
        format: FileFormat,
        taken: &mut TakenDisk,
    ) -> Result<FilePart, BlocksError> {
        let settings = &self.0.servers.blocks;
        // Before all else: what is written from here on shows.
        let stamp = stamp(path)?;
        let top = Layer {
            path: path.to_owned(),
            format,
        };
        let mut since = None;
        if format == FileFormat::Qcow2 {
            let info = info(&top, settings)?;
            taken.size_bytes = info.virtual_size;
            if let Some(mark) = &asked.since {
                let is_whole = |bitmap: &agent_blocks::qemu_img::Bitmap| {
                    bitmap.name == *mark && bitmap.is_whole
                };
                if is_mark(mark) && info.bitmaps.iter().any(is_whole) {
                    since = Some(mark.clone());
                } else {
                    let device = &asked.device;
                    taken.changes_unknown =
                        Some(format!("the record of changes of disk {device} was lost"));
                }
            }
        } else {
            taken.size_bytes = size_of(path)?;
            taken.changes_unknown = asked
                .since
                .as_ref()
                .map(|_| "changes of a raw disk are not recorded".to_owned());
        }
        // Nothing is written to the disk while the guest is stopped, so the record goes on from here
        // too: it tells of more than changed, never of less.
        taken.mark = since.clone();
        Ok(FilePart {
            device: asked.device.clone(),
            layers: chain(&top, settings)?,
            stamp,
            since,
        })
    }
}

/// Fails once somebody may have written to the file.
pub(super) fn stamp(path: &Path) -> Result<Stamp, BlocksError> {
    Stamp::of(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        BlocksError::caused(kind, format!("look at {}", path.display()), error)
    })
}

fn size_of(path: &Path) -> Result<u64, BlocksError> {
    use agent_blocks::ReadDisk;
    Ok(agent_blocks::FileSource::open(path)?.size_bytes())
}
