//! The bytes of volumes: sparse raw files in a folder of the cloud's own.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) const GIB: u64 = 1 << 30;
pub(super) const MIB: u64 = 1 << 20;

pub(super) fn volume_path(folder: &Path, volume_id: &str) -> PathBuf {
    folder.join(format!("volume-{volume_id}"))
}

pub(super) fn snapshot_path(folder: &Path, volume_id: &str, snapshot_id: &str) -> PathBuf {
    folder.join(format!("volume-{volume_id}.snapshot-{snapshot_id}"))
}

/// A disk that Nova keeps: its name says what it is, for those who stand in for a hypervisor.
pub(super) fn nova_disk_path(folder: &Path, server_id: &str, device: &str, role: &str) -> PathBuf {
    folder.join(format!("server-{server_id}.{device}.{role}"))
}

/// An empty disk; it takes no space.
pub(super) fn make(path: &Path, size_bytes: u64, owner: Option<u32>) -> io::Result<()> {
    File::create_new(path)?.set_len(size_bytes)?;
    chown(path, owner, None)
}

/// The bytes of an image, at the beginning of a disk: every image has others.
pub(super) fn write_image(path: &Path, image_id: &str) -> io::Result<()> {
    let bytes = format!("made of image {image_id}\n").repeat(1000);
    File::options()
        .write(true)
        .open(path)?
        .write_all_at(bytes.as_bytes(), 0)
}

/// Makes a disk as large as one that was copied onto it once was to become.
pub(super) fn grow(path: &Path, size_bytes: u64) -> io::Result<()> {
    File::options().write(true).open(path)?.set_len(size_bytes)
}

/// A copy with the holes and the owner of the original: `cp` finds them, the standard library does not.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let status = Command::new("cp")
        .args(["--sparse=auto", "--preserve=ownership"])
        .arg("--")
        .args([from, to])
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("cp: {status}")))
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
