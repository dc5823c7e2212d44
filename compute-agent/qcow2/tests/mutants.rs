//! Thousands of valid images with a little damage, the same ones in each run: a reader answers with an
//! error or with bytes, and takes no more memory than it does for sound images.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use agent_qcow2::{
    Chain, ChainImage, Checkpoint, Compression, Compressor, Decompressor, Extent, ImageWriter,
    ReadError,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngSeed, TestRunner};
use support::{CLUSTER, NullSink, VecSink, compressed_options, mixed, qemu_img, write_packed};

const CASES: u32 = 20_000;
/// A range of the largest tables, payloads of 2 MiB, and the test itself.
const MEMORY_KIB: u64 = 128 << 10;

#[derive(Debug, Clone)]
enum Damage {
    /// One of these numbers, in place of the one at a place where tables have theirs.
    Number(u64),
    Bits(u8),
    /// Something that stands elsewhere.
    Copy(Index),
    Cut,
}

/// Where and how; the place is drawn from the beginning of a file more often than from the rest.
type Edit = (Index, bool, Damage);

fn edit() -> impl Strategy<Value = Edit> {
    let mut numbers = vec![
        0,
        1,
        2,
        3,
        511,
        512,
        65535,
        65536,
        1 << 31,
        1 << 40,
        u64::MAX,
    ];
    numbers.extend((8..64).map(|bit| 1 << bit));
    let damage = prop_oneof![
        4 => select(numbers).prop_map(Damage::Number),
        4 => any::<u8>().prop_map(Damage::Bits),
        2 => any::<Index>().prop_map(Damage::Copy),
        1 => Just(Damage::Cut),
    ];
    (any::<Index>(), any::<bool>(), damage)
}

fn apply(bytes: &mut Vec<u8>, (place, is_early, damage): &Edit) {
    if bytes.len() < 16 {
        return;
    }
    let reach = if *is_early {
        bytes.len().min(300)
    } else {
        bytes.len()
    };
    let at = place.index(reach - 8);
    match damage {
        Damage::Number(number) => {
            let at = at - at % 4;
            bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
        }
        Damage::Bits(bits) => bytes[at] ^= bits,
        Damage::Copy(from) => {
            let from = from.index(bytes.len() - 8);
            bytes.copy_within(from..from + 8, at);
        }
        Damage::Cut => bytes.truncate(at),
    }
}

/// Runs the same cases each time.
fn for_each_case<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let run = runner.run(&strategy, |value| {
        test(value);
        Ok(())
    });
    run.unwrap();
}

fn assert_memory_is_bounded() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < MEMORY_KIB, "{peak} KiB");
}

/// Clusters of 512 bytes make short files, in which every table is near.
fn made_by_qemu(folder: &Path, name: &str, options: &str, backing: Option<&str>) -> Arc<Vec<u8>> {
    let path = folder.join(name);
    let options = format!("cluster_size=512,{options}");
    let mut create = vec!["create", "-q", "-f", "qcow2", "-o", &options];
    if let Some(backing) = backing {
        create.extend(["-F", "qcow2", "-b", backing]);
    }
    create.extend([path.to_str().unwrap(), "100k"]);
    qemu_img(&create).unwrap();
    let mut process = Command::new("qemu-io");
    process.args([
        "-f",
        "qcow2",
        "-c",
        "write -P 1 0 2k",
        "-c",
        "write -c -P 2 4k 2k",
    ]);
    process.args(["-c", "write -z 40k 1k", "-c", "write -P 3 90k 1k"]);
    assert!(process.arg(&path).output().unwrap().status.success());
    Arc::new(fs::read(&path).unwrap())
}

fn made_by_us(compression: Compression) -> Arc<Vec<u8>> {
    let sink = VecSink::default();
    let options = compressed_options(6 * CLUSTER as u64, None, compression);
    let mut writer = ImageWriter::create(sink.clone(), options).unwrap();
    let mut compressor = Compressor::new(compression).unwrap();
    for cluster in [0, 1, 3, 4] {
        write_packed(&mut writer, &mut compressor, cluster, &mixed(cluster, 1));
    }
    writer.write_zero(5..6).unwrap();
    writer.finish().unwrap();
    Arc::new(sink.take())
}

/// Chains, newest image first.
fn samples() -> Vec<Vec<Arc<Vec<u8>>>> {
    let folder = tempfile::tempdir().unwrap();
    let make = |name, options, backing| made_by_qemu(folder.path(), name, options, backing);
    let old = make("old", "compat=0.10", None);
    let zlib = make("zlib", "compression_type=zlib", None);
    let zstd = make("zstd", "compression_type=zstd", None);
    let child = make("child", "compression_type=zstd", Some("zlib"));
    vec![
        vec![old],
        vec![zstd],
        vec![child, Arc::clone(&zlib)],
        vec![zlib],
        vec![made_by_us(Compression::None)],
        vec![made_by_us(Compression::Zlib)],
        vec![made_by_us(Compression::Zstd)],
    ]
}

/// Uses all that a chain can do, as far as a damaged one may make that long.
fn exercise(images: Vec<Vec<u8>>) -> Result<(), ReadError> {
    let images = images.into_iter().map(|data| ChainImage {
        name: "image".to_owned(),
        data: Box::new(data),
    });
    let chain = Chain::open(images.collect())?;
    let mut decompressor = Decompressor::new();
    let mut at = 0;
    let mut stretch: Vec<Extent> = Vec::new();
    for extent in chain.extents(0..u64::MAX).take(2000) {
        let extent = extent?;
        assert_eq!(extent.guest_offset, at);
        at = extent.guest_end();
        if extent.length < 1 << 20 {
            stretch.push(extent);
        }
    }
    for stretch in stretch.chunks(50) {
        let length: u64 = stretch.iter().map(|extent| extent.length).sum();
        let mut bytes = vec![0; length as usize];
        chain.read_extents(stretch, &mut bytes, &mut decompressor)?;
    }
    let last = chain.virtual_size().saturating_sub(100);
    let mut bytes = [0; 100];
    chain.read_at(&mut bytes[..chain.virtual_size().min(100) as usize], last)?;
    chain
        .images()
        .iter()
        .try_for_each(|image| image.head_blake3().map(drop))
}

#[test]
fn images_with_damage_are_read_or_refused() {
    let samples = samples();
    for images in &samples {
        exercise(images.iter().map(|image| image.to_vec()).collect()).unwrap();
    }
    let edits = vec((any::<Index>(), edit()), 1..5);
    for_each_case(CASES, (select(samples), edits), |(images, edits)| {
        let mut images: Vec<Vec<u8>> = images.iter().map(|image| image.to_vec()).collect();
        for (which, edit) in &edits {
            let which = which.index(images.len());
            apply(&mut images[which], edit);
        }
        if let Err(error) = exercise(images) {
            assert!(!error.to_string().is_empty());
        }
    });
    assert_memory_is_bounded();
}

#[test]
fn a_writer_goes_on_from_a_damaged_checkpoint_or_refuses_it() {
    let options = compressed_options(1 << 30, None, Compression::Zstd);
    let mut writer = ImageWriter::create(NullSink::default(), options.clone()).unwrap();
    writer.write_data(3, &vec![1; 2 * CLUSTER]).unwrap();
    writer.write_zero(7..9).unwrap();
    for cluster in 8192..8200 {
        writer.write_compressed(cluster, &[1; 30_000]).unwrap();
    }
    let checkpoint = serde_json::to_string(&writer.checkpoint().unwrap()).unwrap();
    let digit = (
        any::<Index>(),
        select(&["0", "1", "9", "99999999999", "-", "[", ",", ""][..]),
    );
    for_each_case(CASES, vec(digit, 1..4), |edits| {
        let mut json = checkpoint.clone();
        for (place, with) in edits {
            let at = place.index(json.len());
            json.replace_range(at..=at, with);
        }
        let Ok(checkpoint) = serde_json::from_str::<Checkpoint>(&json) else {
            return;
        };
        let position = checkpoint.length_bytes();
        let resumed = ImageWriter::resume(NullSink { position }, options.clone(), checkpoint);
        let Ok(mut writer) = resumed else {
            return;
        };
        let next = writer.next_guest_cluster();
        if writer.write_compressed(next, &[1; 100]).is_ok() {
            writer.checkpoint().unwrap();
            writer.finish().unwrap();
        }
    });
    assert_memory_is_bounded();
}
