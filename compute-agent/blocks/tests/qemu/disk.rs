//! Files to serve.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use agent_blocks::{
    Settings,
    nbd::Endpoint,
    qemu_nbd::{Access, Image, QemuNbd},
};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Data without zeroes that differs from place to place.
pub(crate) fn pattern(offset: u64, length: u64) -> Vec<u8> {
    (offset..offset + length)
        .map(|at| (at / 512 % 250) as u8 + 1)
        .collect()
}

/// A sparse file: data where the extents say, holes elsewhere.
pub(crate) fn sparse(directory: &TempDir, size: u64, data: &[(u64, u64)]) -> PathBuf {
    let path = directory.path().join("disk.raw");
    let file = std::fs::File::create_new(&path).unwrap();
    file.set_len(size).unwrap();
    for (offset, length) in data {
        std::os::unix::fs::FileExt::write_all_at(&file, &pattern(*offset, *length), *offset)
            .unwrap();
    }
    file.sync_all().unwrap();
    path
}

pub(crate) fn serve(path: &Path, access: Access) -> Endpoint {
    let settings = Settings::default();
    let server = QemuNbd::start(&Image::raw_file(path), access, &settings).unwrap();
    Endpoint::of_server(server, path.display().to_string(), &settings)
}
