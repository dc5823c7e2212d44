//! A merge in place that ends at any of its writes.

use std::path::Path;

use agent_qcow2::{
    CLUSTER_BYTES, Compression, Compressor, ImageWriter, MergeError, MergePair, prepare_merge,
    reclaim_unused,
};

use crate::device::Device;
use crate::history::{History, Way};
use crate::stored::{StoredImage, go_on, image, in_memory, open_pair, set_boundary};
use crate::support::{
    CLUSTER, Model, assert_clean, compressed_options, mixed, new_sink, open_chain, write_packed,
};

const SIZES: [u64; 3] = [
    (1 << 29) + 40 * CLUSTER_BYTES,
    (1 << 29) + 90 * CLUSTER_BYTES + 512,
    (1 << 29) + 30 * CLUSTER_BYTES + 512,
];

/// Clusters that an image holds: some at the disk's beginning, some behind the first L2 table.
fn add(history: &mut History, compression: Compression, clusters: &[u64], zero: Option<u64>) {
    let seed = history.images.len() as u8 + 1;
    let size_bytes = SIZES[history.images.len() % SIZES.len()];
    let path = history.next_path();
    let (backing, mut model) = history.newest();
    model.resize(size_bytes);
    let options = compressed_options(size_bytes, backing.as_deref(), compression);
    let mut compressor = Compressor::new(compression).unwrap();
    let mut writer = ImageWriter::create(new_sink(&path), options).unwrap();
    let mut all: Vec<(u64, bool)> = clusters.iter().map(|cluster| (*cluster, true)).collect();
    all.extend(zero.map(|cluster| (cluster, false)));
    all.sort_unstable();
    for (cluster, is_data) in all {
        model.clusters.remove(&cluster);
        if is_data {
            let bytes = mixed(cluster, seed);
            write_packed(&mut writer, &mut compressor, cluster, &bytes);
            model.clusters.insert(cluster, bytes);
        } else {
            writer.write_zero(cluster..cluster + 1).unwrap();
        }
    }
    writer.finish().unwrap();
    history.push(path, model);
}

fn three(compression: Compression) -> History {
    let mut history = History::new();
    let first: Vec<u64> = (0..24).chain(8190..8220).collect();
    add(&mut history, compression, &first, None);
    add(
        &mut history,
        compression,
        &[3, 4, 5, 17, 8195, 8230],
        Some(7),
    );
    add(&mut history, compression, &[4, 20, 21, 8194], Some(5));
    history
}

fn merge(pair: &MergePair, device: &mut Device) -> Result<(), MergeError> {
    let prepared = prepare_merge(pair, device, &mut go_on)?;
    prepared.flip(device)?;
    prepared.reclaim(device)
}

fn shows(paths: &[&Path], model: &Model) -> bool {
    let chain = open_chain(paths).unwrap();
    chain.virtual_size() == model.end
        && (0..model.end.div_ceil(CLUSTER_BYTES)).all(|cluster| {
            // What neither holds is zero in all models.
            if !model.clusters.contains_key(&cluster) && cluster > 60 && cluster < 8180 {
                return true;
            }
            let offset = cluster * CLUSTER_BYTES;
            let mut bytes = vec![0xCC; (model.end - offset).min(CLUSTER as u64) as usize];
            chain.read_at(&mut bytes, offset).unwrap();
            bytes == model.read(offset, bytes.len())
        })
}

/// The states in which a device can be found: killed, powered off, powered off while it wrote.
fn states(device: &Device) -> [Vec<u8>; 4] {
    [
        device.bytes(|_| true),
        device.bytes(|_| false),
        device.bytes(|n| n % 2 == 0),
        device.bytes(|n| n % 2 == 1),
    ]
}

fn every_end(compression: Compression) {
    let history = three(compression);
    let [(parent, before), (successor, after), ..] = &history.images[..] else {
        unreachable!("there are three");
    };
    let whole = std::fs::read(parent).unwrap();
    let open = |parent: &[u8]| {
        let mut pair = MergePair::open(in_memory(parent), image(successor), None).unwrap();
        set_boundary(&mut pair, after);
        pair
    };
    let pair = open(&whole);
    let (mut flipped, mut not_flipped) = (0, 0);
    for left in 0.. {
        let mut device = Device::new(whole.clone(), left);
        let is_done = merge(&pair, &mut device).is_ok();
        for state in states(&device) {
            std::fs::write(parent, &state).unwrap();
            assert_clean(parent);
            assert!(shows(&[successor, parent], after), "after {left} writes");
            let mut device = Device::new(state.clone(), usize::MAX);
            if shows(&[parent], after) {
                flipped += 1;
                reclaim_unused(in_memory(&state), &mut device).unwrap();
            } else {
                not_flipped += 1;
                assert!(shows(&[parent], before), "after {left} writes");
                merge(&open(&state), &mut device).unwrap();
            }
            std::fs::write(parent, device.bytes(|_| true)).unwrap();
            assert_clean(parent);
            assert!(shows(&[parent], after), "after {left} writes");
        }
        if is_done {
            break;
        }
    }
    assert!(flipped > 4 && not_flipped > 4, "{flipped} {not_flipped}");
}

#[test]
fn a_merge_that_ends_at_any_write_leaves_one_of_two_clean_images() {
    every_end(Compression::None);
}

#[test]
fn so_does_a_merge_of_compressed_images() {
    every_end(Compression::Zstd);
}

#[test]
fn what_a_merge_sets_free_is_used_by_the_next() {
    for compression in [Compression::None, Compression::Zstd] {
        let mut history = three(compression);
        let clusters: Vec<u64> = (0..24).chain(8190..8220).collect();
        let mut lengths = Vec::new();
        for _ in 0..6 {
            while history.images.len() > 1 {
                history.merge(0, Way::InPlace);
            }
            lengths.push(std::fs::metadata(&history.images[0].0).unwrap().len());
            add(&mut history, compression, &clusters, None);
        }
        history.assert_all();
        let (first, last) = (lengths[1], lengths[5]);
        assert!(last <= first + 2 * CLUSTER_BYTES, "{lengths:?}");
    }
}

#[test]
fn space_of_an_attempt_that_died_is_given_back() {
    let history = three(Compression::None);
    let [(parent, before), (successor, after), ..] = &history.images[..] else {
        unreachable!("there are three");
    };
    let length = std::fs::metadata(parent).unwrap().len();
    let pair = open_pair(parent, successor, None, after);
    let mut update = StoredImage::open(parent);
    prepare_merge(&pair, &mut update, &mut go_on).unwrap();
    assert!(std::fs::metadata(parent).unwrap().len() > length);
    assert_eq!(reclaim_unused(image(parent), &mut update).unwrap(), length);
    assert_eq!(std::fs::metadata(parent).unwrap().len(), length);
    assert_clean(parent);
    assert!(shows(&[parent], before));
}

#[test]
fn a_merge_that_is_stopped_says_so() {
    let history = three(Compression::None);
    let [(parent, _), (successor, after), ..] = &history.images[..] else {
        unreachable!("there are three");
    };
    let pair = open_pair(parent, successor, None, after);
    let mut update = StoredImage::open(parent);
    let error = prepare_merge(&pair, &mut update, &mut |_| false).unwrap_err();
    assert!(matches!(error, MergeError::Stopped));
    assert_clean(parent);
}
