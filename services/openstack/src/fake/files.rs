//! The bytes of volumes: sparse raw files in a folder of the cloud's own.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

const GIB: u64 = 1 << 30;

pub(super) fn volume_path(folder: &Path, volume_id: &str) -> PathBuf {
    folder.join(format!("volume-{volume_id}"))
}

pub(super) fn snapshot_path(folder: &Path, volume_id: &str, snapshot_id: &str) -> PathBuf {
    folder.join(format!("volume-{volume_id}.snapshot-{snapshot_id}"))
}

/// An empty disk; it takes no space.
pub(super) fn make(path: &Path, size_gib: u64, owner: Option<u32>) -> io::Result<()> {
    File::create_new(path)?.set_len(size_gib * GIB)?;
    chown(path, owner, None)
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
