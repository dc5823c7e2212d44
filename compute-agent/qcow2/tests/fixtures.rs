//! Images as earlier versions wrote them (tests/fixtures) hold what they held, for us and for QEMU.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_qcow2::Header;
use support::{assert_clean, open_chain, open_file, qemu_img};
use tempfile::TempDir;

/// The images of a version, unpacked, in their folders; and the names of them in its sums.
fn unpacked(version: &str) -> (TempDir, Vec<String>) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let fixtures = fixtures.join(version);
    let folder = tempfile::tempdir().unwrap();
    let sums = fs::read_to_string(fixtures.join("SHA256SUMS")).unwrap();
    fs::write(folder.path().join("SHA256SUMS"), &sums).unwrap();
    let names = sums.lines().map(|line| {
        let (_, name) = line.split_once("  ").unwrap();
        name.strip_suffix(".raw").unwrap().to_owned()
    });
    let names: Vec<String> = names.collect();
    for name in &names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let packed = File::open(fixtures.join(format!("{name}.gz"))).unwrap();
        let mut image = File::create(path).unwrap();
        io::copy(&mut flate2::read::GzDecoder::new(packed), &mut image).unwrap();
    }
    (folder, names)
}

/// The image and its ancestors, by the names in their headers.
fn with_ancestors(newest: PathBuf) -> Vec<PathBuf> {
    let mut paths = vec![newest];
    while let Some(name) = Header::read(&open_file(paths.last().unwrap()))
        .unwrap()
        .backing_name
    {
        let parent = paths.last().unwrap().parent().unwrap().join(name);
        paths.push(parent);
    }
    paths
}

fn assert_sums(folder: &Path) {
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(folder);
    let output = check.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn images_of_format_1_hold_what_they_held() {
    let (folder, names) = unpacked("format-1");
    assert_eq!(names.len(), 6);
    for name in &names {
        let path = folder.path().join(name);
        let chain = open_chain(&with_ancestors(path.clone())).unwrap();
        let mut bytes = vec![0xCC; chain.virtual_size() as usize];
        chain.read_at(&mut bytes, 0).unwrap();
        fs::write(folder.path().join(format!("{name}.raw")), bytes).unwrap();
    }
    assert_sums(folder.path());
}

#[test]
fn images_of_format_1_are_good_images_for_qemu() {
    let (folder, names) = unpacked("format-1");
    for name in &names {
        let path = folder.path().join(name);
        assert_clean(&path);
        let (from, to) = (path.to_str().unwrap(), format!("{}.raw", path.display()));
        qemu_img(&["convert", "-f", "qcow2", "-O", "raw", from, &to]).unwrap();
    }
    assert_sums(folder.path());
}
