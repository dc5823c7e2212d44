//! Images that `qemu-img` made: what it can do, we read, or say that we do not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_qcow2::{CompressionType, ExtentKind, ReadError};
use support::{open_chain, qemu_img};
use tempfile::TempDir;

const SIZE: u64 = 3 * (1 << 20) + 512;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn create(&self, name: &str, options: &str, backing: Option<&str>) -> PathBuf {
        let path = self.path(name);
        let size = SIZE.to_string();
        let mut args = vec!["create", "-q", "-f", "qcow2", "-o", options];
        if let Some(backing) = backing {
            args.extend(["-F", "qcow2", "-b", backing]);
        }
        args.extend([path.to_str().unwrap(), &size]);
        qemu_img(&args).unwrap();
        path
    }
}

fn qemu_io(path: &Path, commands: &[&str]) {
    let mut process = Command::new("qemu-io");
    process.args(["-f", "qcow2"]);
    for command in commands {
        process.args(["-c", command]);
    }
    let output = process.arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Reads the same through us as through QEMU.
fn assert_same(folder: &Folder, newest_first: &[PathBuf]) {
    let raw = folder.path("out.raw");
    let newest = newest_first[0].to_str().unwrap();
    qemu_img(&[
        "convert",
        "-f",
        "qcow2",
        "-O",
        "raw",
        newest,
        raw.to_str().unwrap(),
    ])
    .unwrap();
    let expected = fs::read(&raw).unwrap();
    let chain = open_chain(newest_first).unwrap();
    assert_eq!(chain.virtual_size(), expected.len() as u64);
    let mut bytes = vec![0xCC; expected.len()];
    chain.read_at(&mut bytes, 0).unwrap();
    assert!(bytes == expected);
    // Odd pieces, so that compressed clusters are entered in their middle.
    let mut bytes = vec![0xCC; 100_001];
    for offset in (0..expected.len() - bytes.len()).step_by(77_777) {
        chain.read_at(&mut bytes, offset as u64).unwrap();
        assert!(
            bytes == expected[offset..offset + bytes.len()],
            "at {offset}"
        );
    }
}

const WRITES: [&str; 5] = [
    "write -P 1 0 512",
    "write -P 2 100k 300k",
    "write -P 3 1M 64k",
    "write -z 1100k 100k",
    "write -P 4 3M 512",
];

#[test]
fn images_of_any_cluster_size_and_version_are_read() {
    let sizes = (9..=21).map(|bits| format!("cluster_size={}", 1 << bits));
    let others = [
        "compat=0.10",
        "compat=0.10,cluster_size=512",
        "compat=0.10,cluster_size=2M",
        "lazy_refcounts=on",
        "lazy_refcounts=on,cluster_size=512",
        "refcount_bits=1",
        "refcount_bits=64",
        "preallocation=metadata",
        "preallocation=full",
    ];
    for options in sizes.chain(others.map(ToOwned::to_owned)) {
        let folder = Folder::new();
        let path = folder.create("image", &options, None);
        qemu_io(&path, &WRITES);
        assert_same(&folder, &[path]);
    }
}

#[test]
fn an_image_that_was_not_closed_is_read() {
    let folder = Folder::new();
    let path = folder.create("image", "lazy_refcounts=on", None);
    // qemu-io ends itself without closing the image: it stays marked as dirty.
    let mut process = Command::new("qemu-io");
    process.args([
        "-f",
        "qcow2",
        "-c",
        "write -P 1 0 1M",
        "-c",
        "flush",
        "-c",
        "sigraise 9",
    ]);
    assert!(!process.arg(&path).output().unwrap().status.success());
    let features = fs::read(&path).unwrap()[72..80].to_vec();
    assert_eq!(features, 1u64.to_be_bytes());
    let chain = open_chain(&[&path]).unwrap();
    let mut bytes = vec![0; 1 << 20];
    chain.read_at(&mut bytes, 0).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 1));
}

#[test]
fn compressed_images_of_both_kinds_are_read() {
    for (kind, compression) in [
        ("zlib", CompressionType::Zlib),
        ("zstd", CompressionType::Zstd),
    ] {
        for cluster_size in ["512", "1k", "4k", "64k", "256k", "2M"] {
            let folder = Folder::new();
            let plain = folder.create("plain", "cluster_size=64k", None);
            qemu_io(&plain, &WRITES);
            let packed = folder.path("packed");
            let options = format!("compression_type={kind},cluster_size={cluster_size}");
            let (from, to) = (plain.to_str().unwrap(), packed.to_str().unwrap());
            qemu_img(&["convert", "-c", "-O", "qcow2", "-o", &options, from, to]).unwrap();
            let chain = open_chain(&[&packed]).unwrap();
            assert_eq!(chain.images()[0].header().compression, compression);
            let mut extents = chain.extents(0..SIZE).map(Result::unwrap);
            assert!(extents.any(|extent| matches!(extent.kind, ExtentKind::Compressed { .. })));
            assert_same(&folder, &[packed]);
        }
    }
}

#[test]
fn an_image_with_internal_snapshots_reads_as_it_is_now() {
    let folder = Folder::new();
    let path = folder.create("image", "cluster_size=64k", None);
    qemu_io(&path, &WRITES);
    qemu_img(&["snapshot", "-c", "before", path.to_str().unwrap()]).unwrap();
    qemu_io(&path, &["write -P 9 0 1M"]);
    assert_same(&folder, &[path]);
}

#[test]
fn chains_that_qemu_made_are_read_newest_first() {
    let folder = Folder::new();
    let base = folder.create("base", "cluster_size=64k", None);
    qemu_io(&base, &WRITES);
    let middle = folder.create("middle", "cluster_size=64k", Some("base"));
    qemu_io(
        &middle,
        &[
            "write -P 11 64k 1000",
            "write -z 1M 64k",
            "discard 192k 64k",
        ],
    );
    let top = folder.create("top", "cluster_size=64k", Some("middle"));
    qemu_io(&top, &["write -P 12 2M 65k"]);
    assert_same(&folder, &[top, middle, base]);
}

#[test]
fn overlays_with_compressed_clusters_are_read() {
    for options in [
        "compat=0.10,cluster_size=64k",
        "compression_type=zstd,cluster_size=64k",
    ] {
        let folder = Folder::new();
        let base = folder.create("base", "cluster_size=64k", None);
        qemu_io(&base, &WRITES);
        let top = folder.create("top", options, Some("base"));
        // The second writes over a part of what is compressed.
        let writes = [
            "write -c -P 21 0 256k",
            "write -P 22 64k 1000",
            "write -c -P 23 1M 64k",
        ];
        qemu_io(&top, &writes);
        assert_same(&folder, &[top, base]);
    }
}

#[test]
fn what_we_cannot_read_is_named() {
    let folder = Folder::new();
    let external = format!("data_file={}", folder.path("data").display());
    // qemu-img times its key derivation to make a LUKS image, and gives up on a busy machine: so the
    // header's encryption method is set by hand, as the format has it.
    let encrypted = folder.create("luks", "cluster_size=64k", None);
    let header = std::fs::OpenOptions::new()
        .write(true)
        .open(&encrypted)
        .unwrap();
    header.write_all_at(&2_u32.to_be_bytes(), 32).unwrap();
    let images = [
        (
            folder.create("external", &external, None),
            "external data file",
        ),
        (
            folder.create("subclusters", "extended_l2=on", None),
            "extended L2 entries",
        ),
        (encrypted, "encryption"),
    ];
    for (path, expected) in images {
        let error = open_chain(&[&path]).unwrap_err();
        assert!(matches!(error, ReadError::Header { .. }));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(expected), "{source}");
    }
}

#[test]
fn images_that_make_no_chain_are_refused() {
    let folder = Folder::new();
    let base = folder.create("base", "cluster_size=64k", None);
    let top = folder.create("top", "cluster_size=64k", Some("base"));
    let small = folder.create("small", "cluster_size=4k", None);
    let refused: [&[&PathBuf]; 4] = [&[&top], &[&base, &base], &[&top, &small], &[&top, &top]];
    for images in refused {
        assert!(
            matches!(open_chain(images), Err(ReadError::NotAChain { .. })),
            "{images:?}"
        );
    }
    assert!(matches!(
        open_chain::<PathBuf>(&[]),
        Err(ReadError::NoImage)
    ));
    assert!(open_chain(&[&top, &base]).is_ok());
}

#[test]
fn reading_past_the_disks_end_is_refused() {
    let folder = Folder::new();
    let chain = open_chain(&[folder.create("image", "cluster_size=64k", None)]).unwrap();
    for (offset, length) in [(0, SIZE + 1), (SIZE, 1), (u64::MAX, 2)] {
        let refused = chain.read_at(&mut vec![0; length as usize], offset);
        assert!(matches!(refused, Err(ReadError::OutOfRange { .. })));
    }
    assert!(chain.read_at(&mut [], SIZE).is_ok());
    assert_eq!(chain.extents(SIZE..u64::MAX).count(), 0);
}
