//! Images of other programs, and damaged ones.

use std::path::Path;

use agent_qcow2::{
    CLUSTER_BYTES, ChainImage, Compression, Compressor, ImageWriter, MergeComposition, MergeError,
    MergePair, prepare_merge, write_merged,
};
use proptest::prelude::*;

use crate::device::Device;
use crate::stored::{go_on, image, prepare, rewrite};
use crate::support::{
    NullSink, assert_clean, compressed_options, mixed, new_sink, qemu_img, write_packed,
};

const SIZE: u64 = 5 << 30;

fn write(path: &Path, backing: Option<&str>, compression: Compression, clusters: &[u64]) {
    let options = compressed_options(SIZE, backing, compression);
    let mut compressor = Compressor::new(compression).unwrap();
    let mut writer = ImageWriter::create(new_sink(path), options).unwrap();
    for cluster in clusters {
        write_packed(&mut writer, &mut compressor, *cluster, &mixed(*cluster, 7));
    }
    writer.finish().unwrap();
}

fn assert_same(a: &Path, b: &Path) {
    qemu_img(&["compare", a.to_str().unwrap(), b.to_str().unwrap()]).unwrap();
}

#[test]
fn an_image_of_qemu_with_several_blocks_of_counts_is_merged_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let [parent, successor, expected] = ["p", "s", "e"].map(|name| folder.path().join(name));
    // All of it has a place in the file: 5 GiB, three blocks of counts, all of it holes.
    let options = "preallocation=metadata,cluster_size=64k,lazy_refcounts=off";
    let size = SIZE.to_string();
    let path = parent.to_str().unwrap();
    qemu_img(&["create", "-f", "qcow2", "-o", options, path, &size]).unwrap();
    let clusters = [0, 1, 2, 9000, 32767, 32768, 32769, 65535, 65536, 81919];
    write(&successor, Some("p"), Compression::None, &clusters);
    std::fs::copy(&successor, folder.path().join("s2")).unwrap();
    qemu_img(&[
        "convert",
        "-O",
        "qcow2",
        successor.to_str().unwrap(),
        expected.to_str().unwrap(),
    ])
    .unwrap();
    let pair = MergePair::open(image(&parent), image(&successor), None).unwrap();
    let (prepared, mut update) = prepare(&pair, &parent);
    assert_clean(&parent);
    prepared.flip(&mut update).unwrap();
    prepared.reclaim(&mut update).unwrap();
    assert_clean(&parent);
    assert_same(&parent, &expected);
}

#[test]
fn an_image_that_cannot_be_changed_as_it_is_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let [parent, successor, expected] = ["p", "s", "e"].map(|name| folder.path().join(name));
    let path = parent.to_str().unwrap();
    let size = SIZE.to_string();
    let options = "cluster_size=64k,refcount_bits=1";
    qemu_img(&["create", "-f", "qcow2", "-o", options, path, &size]).unwrap();
    write(&successor, Some("p"), Compression::Zlib, &[0, 5, 9000]);
    let pair = MergePair::open(image(&parent), image(&successor), None).unwrap();
    let mut device = Device::new(std::fs::read(&parent).unwrap(), 0);
    let error = prepare_merge(&pair, &mut device, &mut go_on).unwrap_err();
    assert!(matches!(error, MergeError::Unsupported { .. }), "{error}");
    let (from, to) = (successor.to_str().unwrap(), expected.to_str().unwrap());
    qemu_img(&["convert", "-O", "qcow2", from, to]).unwrap();
    rewrite(&pair, &successor);
    assert_clean(&successor);
    assert_same(&successor, &expected);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_damage_makes_a_merge_panic_or_write_over_the_parents_header(
        is_parent in any::<bool>(),
        place in 0.0_f64..1.0,
        is_early in any::<bool>(),
        value in any::<[u8; 8]>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let [parent, successor] = ["p", "s"].map(|name| folder.path().join(name));
        write(&parent, None, Compression::Zstd, &[0, 1, 2, 8192, 8193]);
        write(&successor, Some("p"), Compression::Zstd, &[1, 2, 3, 8193]);
        let mut images = [&parent, &successor].map(|path| std::fs::read(path).unwrap());
        let damaged = &mut images[usize::from(!is_parent)];
        let end = if is_early { 200 } else { damaged.len() - 8 };
        let at = (place * end as f64) as usize;
        damaged[at..at + 8].copy_from_slice(&value);
        let [parent, successor] = images;
        let open = |bytes: &Vec<u8>| ChainImage {
            name: "damaged".to_owned(),
            data: Box::new(bytes.clone()),
        };
        let Ok(mut pair) = MergePair::open(open(&parent), open(&successor), None) else {
            return Ok(());
        };
        if let Some(cluster) = pair.boundary() {
            prop_assert!(cluster * CLUSTER_BYTES < SIZE << 32);
            pair.set_boundary(Vec::new());
        }
        let mut device = Device::new(parent.clone(), usize::MAX);
        if prepare_merge(&pair, &mut device, &mut go_on).is_ok() {
            let bytes = device.bytes(|_| true);
            prop_assert!(bytes[..512] == parent[..512]);
        }
        drop(MergeComposition::plan(&pair, 0));
        drop(write_merged(&pair, NullSink::default(), None, &mut go_on));
    }
}
