//! Volumes of Cinder's drivers that keep files on a share, and their snapshots.
//!
//! ```text
//!   volume-X.info   {"active": "volume-X.S2", "S1": "volume-X.S1", "S2": "volume-X.S2"}
//!
//!   volume-X  <──  volume-X.S1  <──  volume-X.S2        each upon the one before
//!   (as at S1)     (as at S2)        (as it is now)
//! ```
//! A snapshot's name leads to the file that was put on top at that moment; what the disk held is the
//! chain below that file. When Cinder deletes a snapshot it merges a file into the one below, and
//! names that one: so what lies between two snapshots is looked up each time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agent_blocks::qemu_img::chain;
use agent_blocks::qemu_nbd::{FileFormat, Layer};
use agent_blocks::{
    BlocksError, Changes, DiskReader, ErrorKind, ExtentStream, LayeredSource, MapDisk, ReadDisk,
    Settings,
};

/// The disk as it was at a snapshot.
pub(super) struct ShareSnapshot {
    volume: PathBuf,
    snapshot: String,
    layers: Vec<Layer>,
    disk: LayeredSource,
    settings: Settings,
}

impl ShareSnapshot {
    pub(super) fn open(
        volume: &Path,
        snapshot: &str,
        layers: Vec<Layer>,
        settings: &Settings,
    ) -> Result<Self, BlocksError> {
        Ok(Self {
            volume: volume.to_owned(),
            snapshot: snapshot.to_owned(),
            disk: LayeredSource::open(layers.clone(), settings)?,
            layers,
            settings: settings.clone(),
        })
    }
}

impl ReadDisk for ShareSnapshot {
    fn size_bytes(&self) -> u64 {
        self.disk.size_bytes()
    }

    fn open_reader(&self) -> Result<Box<dyn DiskReader>, BlocksError> {
        self.disk.open_reader()
    }
}

impl MapDisk for ShareSnapshot {
    fn allocated(&self) -> Result<ExtentStream<'_>, BlocksError> {
        self.disk.allocated()
    }

    fn changed_since(&self, point: &str) -> Result<Changes<'_>, BlocksError> {
        let unknown = |why: &str| {
            let reason = format!("snapshot {point} {why}");
            Ok(Changes::Unknown { reason })
        };
        let earlier = match layers_of_snapshot(&self.volume, point, &self.settings) {
            Ok(layers) => layers,
            Err(error) if error.kind() == ErrorKind::SnapshotNotFound => {
                return unknown("is gone");
            }
            Err(error) => return Err(error),
        };
        // Merged meanwhile: what we read is not what is on the share any more.
        let now = layers_of_snapshot(&self.volume, &self.snapshot, &self.settings)?;
        if now != self.layers {
            return unknown("cannot be compared, the volume's files are being merged");
        }
        let top = earlier.first();
        match self.layers.iter().position(|layer| Some(layer) == top) {
            Some(above) if self.layers.get(above..) == Some(earlier.as_slice()) => {
                Ok(Changes::Known(self.disk.in_newest(above)?))
            }
            _ => unknown("is none that this one builds upon"),
        }
    }
}

/// The files that hold a snapshot of the volume in this file, newest first.
pub(super) fn layers_of_snapshot(
    volume: &Path,
    snapshot: &str,
    settings: &Settings,
) -> Result<Vec<Layer>, BlocksError> {
    let overlay = overlay_of(volume, snapshot)?;
    let top = Layer {
        path: overlay,
        format: FileFormat::Qcow2,
    };
    let mut layers = chain_within(&top, settings)?;
    layers.remove(0);
    if layers.is_empty() {
        let doing = format!("find what {} was put upon", top.path.display());
        return Err(BlocksError::new(ErrorKind::SnapshotNotFound, doing));
    }
    Ok(layers)
}

/// The file and all below it; none of them outside of the share.
pub(super) fn chain_within(top: &Layer, settings: &Settings) -> Result<Vec<Layer>, BlocksError> {
    let folder = real(top.path.parent().unwrap_or(Path::new("/")))?;
    let mut layers = chain(top, settings)?;
    for layer in &mut layers {
        layer.path = real(&layer.path)?;
        if layer.path.parent() != Some(&folder) {
            let path = layer.path.display();
            let doing = format!("use {path}, which is not in {}", folder.display());
            return Err(BlocksError::new(ErrorKind::Invalid, doing));
        }
    }
    Ok(layers)
}

/// The file that Cinder put on top when it took the snapshot.
fn overlay_of(volume: &Path, snapshot: &str) -> Result<PathBuf, BlocksError> {
    let doing = || format!("find snapshot {snapshot} of {}", volume.display());
    let wrong = |kind| BlocksError::new(kind, doing());
    let (Some(folder), Some(name)) = (volume.parent(), volume.file_name()) else {
        return Err(wrong(ErrorKind::Invalid));
    };
    let name = name.to_str().ok_or_else(|| wrong(ErrorKind::Invalid))?;
    // The active file is named by its newest snapshot; the volume's own name has no dot.
    let base = name.split('.').next().unwrap_or(name);
    let path = folder.join(format!("{base}.info"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // Written with the first snapshot, removed with the last.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(wrong(ErrorKind::SnapshotNotFound));
        }
        Err(error) => return Err(BlocksError::caused(ErrorKind::Io, doing(), error)),
    };
    let names: BTreeMap<String, String> = serde_json::from_str(&text)
        .map_err(|error| BlocksError::caused(ErrorKind::Protocol, doing(), error))?;
    let overlay = names
        .get(snapshot)
        .filter(|_| snapshot != "active")
        .ok_or_else(|| wrong(ErrorKind::SnapshotNotFound))?;
    let is_plain = Path::new(overlay).file_name() == Some(overlay.as_ref());
    if !is_plain || !overlay.starts_with(base) {
        return Err(wrong(ErrorKind::Invalid));
    }
    Ok(folder.join(overlay))
}

fn real(path: &Path) -> Result<PathBuf, BlocksError> {
    path.canonicalize().map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        BlocksError::caused(kind, format!("find {}", path.display()), error)
    })
}

#[cfg(test)]
mod tests;
