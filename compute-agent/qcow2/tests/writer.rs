//! What the writer promises beyond the bytes: sizes, order, memory, refusals.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs::{self, File};
use std::process::Command;

use agent_qcow2::{CLUSTER_BYTES, Checkpoint, ImageSink, ImageWriter, WriteError};
use support::{
    CLUSTER, Model, NullSink, SparseSink, VecSink, assert_clean, assert_reads_as, new_sink,
    open_chain, options, pattern, qemu_img, resumed_sink,
};

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

fn sparse_sink(path: &std::path::Path) -> SparseSink {
    SparseSink {
        file: File::create(path).unwrap(),
        position: 0,
    }
}

#[test]
fn a_disk_of_16_tib_is_an_image_with_a_small_head() {
    let folder = tempfile::tempdir().unwrap();
    let (path, raw) = (folder.path().join("image"), folder.path().join("raw"));
    let mut model = Model::default();
    model.resize(16 * TIB);
    let last = 16 * TIB / CLUSTER_BYTES - 1;
    let mut writer = ImageWriter::create(sparse_sink(&path), options(16 * TIB, None)).unwrap();
    for cluster in [0, 8191, 8192, 1 << 27, last] {
        writer.write_data(cluster, &pattern(cluster, 5)).unwrap();
        model.clusters.insert(cluster, pattern(cluster, 5));
    }
    let summary = writer.finish().unwrap();
    assert!(summary.size_bytes < 2 << 20, "{summary:?}");
    assert_clean(&path);
    let chain = open_chain(&[&path]).unwrap();
    let mut bytes = vec![0; CLUSTER];
    for (cluster, expected) in &model.clusters {
        chain.read_at(&mut bytes, cluster * CLUSTER_BYTES).unwrap();
        assert_eq!(&bytes, expected);
    }
    // Few file systems have files of 16 TiB to compare with: qemu-img reads the pieces instead.
    for (cluster, expected) in &model.clusters {
        let (skip, out) = (format!("skip={cluster}"), format!("of={}", raw.display()));
        let input = format!("if={}", path.display());
        let size = format!("count={}", cluster + 1);
        qemu_img(&[
            "dd", "-f", "qcow2", "-O", "raw", "bs=65536", &skip, &size, &input, &out,
        ])
        .unwrap();
        assert_eq!(&fs::read(&raw).unwrap(), expected);
    }
}

#[test]
fn refcount_blocks_are_right_in_a_file_of_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    // A little more than three blocks of 2 GiB; the data is zero, so that the file is sparse.
    let size = 7 * GIB + 12345;
    let options = options(size, None);
    let zeroes = vec![0; 4 << 20];
    let mut writer = ImageWriter::create(sparse_sink(&path), options.clone()).unwrap();
    let clusters = size.div_ceil(CLUSTER_BYTES);
    let mut next = 0;
    while next < clusters {
        if next == 64 * 512 * 3 {
            let checkpoint = writer.checkpoint().unwrap();
            drop(writer);
            let position = checkpoint.length_bytes();
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            let sink = SparseSink { file, position };
            writer = ImageWriter::resume(sink, options.clone(), checkpoint).unwrap();
        }
        let count = (clusters - next).min(64);
        let length = ((size - next * CLUSTER_BYTES) as usize).min(count as usize * CLUSTER);
        writer.write_data(next, &zeroes[..length]).unwrap();
        next += count;
    }
    writer.finish().unwrap();
    assert_clean(&path);
}

#[test]
fn the_last_refcount_block_may_be_exactly_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let size = 3 * GIB;
    // A block counts 32768 clusters; 8 are not data: head, four L2 tables, block, refcount table.
    for clusters in 32_758..=32_762 {
        let mut writer = ImageWriter::create(sparse_sink(&path), options(size, None)).unwrap();
        let zeroes = vec![0; 1024 * CLUSTER];
        let mut next = 0;
        while next < clusters {
            let count = (clusters - next).min(1024);
            writer
                .write_data(next, &zeroes[..count as usize * CLUSTER])
                .unwrap();
            next += count;
        }
        writer.finish().unwrap();
        assert_clean(&path);
    }
}

#[test]
fn memory_and_checkpoint_stay_small_for_a_terabyte_with_data_in_every_cluster() {
    let mut writer = ImageWriter::create(NullSink::default(), options(TIB, None)).unwrap();
    let data = vec![1; 16 << 20];
    let step = 256;
    let clusters = TIB / CLUSTER_BYTES;
    for next in (0..clusters).step_by(step) {
        writer.write_data(next, &data).unwrap();
    }
    let checkpoint = writer.checkpoint().unwrap();
    let json = serde_json::to_vec(&checkpoint).unwrap();
    assert!(json.len() < 40 << 10, "{}", json.len());
    writer.finish().unwrap();

    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 64 << 10, "{peak_kib} KiB");
}

#[test]
fn a_checkpoint_is_small_even_if_data_and_gaps_alternate() {
    let mut writer = ImageWriter::create(NullSink::default(), options(TIB, None)).unwrap();
    for cluster in (0..8192).step_by(2) {
        writer.write_data(cluster, &vec![1; CLUSTER]).unwrap();
    }
    let json = serde_json::to_vec(&writer.checkpoint().unwrap()).unwrap();
    assert!(json.len() < 80 << 10, "{}", json.len());
}

#[test]
fn a_head_as_large_as_an_s3_part_is_clean_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let options = options(GIB, None);
    let sink = VecSink {
        head_minimum: 5 << 20,
        ..VecSink::default()
    };
    let mut writer = ImageWriter::create(sink.clone(), options.clone()).unwrap();
    assert_eq!(writer.position(), 5 << 20);
    writer.write_data(3, &pattern(3, 1)).unwrap();
    let checkpoint = writer.checkpoint().unwrap();
    drop(writer);

    // A sink of another kind would put the data elsewhere.
    let other = VecSink {
        head_minimum: 0,
        ..sink.clone()
    };
    let refused = ImageWriter::resume(other, options.clone(), checkpoint.clone());
    assert!(matches!(
        refused.unwrap_err(),
        WriteError::BadCheckpoint { .. }
    ));

    let mut writer = ImageWriter::resume(sink.clone(), options, checkpoint).unwrap();
    writer.write_data(9000, &pattern(9000, 1)).unwrap();
    let summary = writer.finish().unwrap();
    fs::write(&path, sink.take()).unwrap();
    assert_clean(&path);
    let chain = open_chain(&[&path]).unwrap();
    let mut bytes = vec![0; CLUSTER];
    chain.read_at(&mut bytes, 9000 * CLUSTER_BYTES).unwrap();
    assert_eq!(bytes, pattern(9000, 1));
    // The digest is of what is in use, whatever sink the head was padded for.
    assert_eq!(
        chain.images()[0].head_blake3().unwrap(),
        summary.head_blake3
    );
    let head = &sink.take()[..2 * CLUSTER];
    assert_eq!(summary.head_blake3, *blake3::hash(head).as_bytes());
}

#[test]
fn an_unfinished_image_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut writer = ImageWriter::create(new_sink(&path), options(GIB, None)).unwrap();
    writer.write_data(0, &pattern(0, 1)).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    assert!(open_chain(&[&path]).is_err());
    assert!(qemu_img(&["check", "-f", "qcow2", path.to_str().unwrap()]).is_err());
}

#[test]
fn a_zeroed_cluster_hides_the_parents_data_and_costs_no_space() {
    let folder = tempfile::tempdir().unwrap();
    let [parent, child, raw] = ["parent", "child", "raw"].map(|name| folder.path().join(name));
    let mut writer =
        ImageWriter::create(new_sink(&parent), options(4 * CLUSTER_BYTES, None)).unwrap();
    for cluster in 0..4 {
        writer.write_data(cluster, &pattern(cluster, 1)).unwrap();
    }
    writer.finish().unwrap();
    let options = options(4 * CLUSTER_BYTES, Some("parent"));
    let mut writer = ImageWriter::create(new_sink(&child), options).unwrap();
    writer.write_zero(1..3).unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(summary.counters.zero_clusters, 2);
    assert!(summary.size_bytes <= 5 * CLUSTER_BYTES);
    let mut model = Model::default();
    model.resize(4 * CLUSTER_BYTES);
    model
        .clusters
        .extend([0, 3].map(|cluster| (cluster, pattern(cluster, 1))));
    model.write_raw(&raw);
    assert_clean(&child);
    assert_reads_as(&child, &raw);
}

#[test]
fn the_backing_name_stays_relative_and_survives_a_move() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    for snapshot in ["1", "2"] {
        fs::create_dir_all(old.join(snapshot)).unwrap();
    }
    let mut writer =
        ImageWriter::create(new_sink(&old.join("1/image")), options(GIB, None)).unwrap();
    writer.write_data(7, &pattern(7, 1)).unwrap();
    writer.finish().unwrap();
    let options = options(GIB, Some("../1/image"));
    ImageWriter::create(new_sink(&old.join("2/image")), options)
        .unwrap()
        .finish()
        .unwrap();
    fs::rename(&old, &new).unwrap();

    let child = new.join("2/image");
    let child = child.to_str().unwrap();
    let info = qemu_img(&["info", "--output=json", child]).unwrap();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["backing-filename"], "../1/image");
    assert_eq!(info["backing-filename-format"], "qcow2");
    assert_eq!(info["format-specific"]["data"]["compat"], "1.1");
    assert_eq!(info["format-specific"]["data"]["corrupt"], false);
    let map = qemu_img(&["map", "--output=json", child]).unwrap();
    let map: serde_json::Value = serde_json::from_str(&map).unwrap();
    let data: Vec<_> = map
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["data"] == true)
        .collect();
    assert_eq!(data.len(), 1);
    assert_eq!(data[0]["start"], 7 * CLUSTER_BYTES);
    assert_eq!(data[0]["depth"], 1);
}

#[test]
fn clusters_out_of_order_past_the_end_or_incomplete_are_refused() {
    let size = 3 * CLUSTER_BYTES + 100;
    let mut writer = ImageWriter::create(VecSink::default(), options(size, None)).unwrap();
    writer.write_data(1, &pattern(1, 1)).unwrap();
    for cluster in [0, 1] {
        let error = writer
            .write_data(cluster, &pattern(cluster, 1))
            .unwrap_err();
        assert!(
            matches!(error, WriteError::OutOfOrder { next: 2, .. }),
            "{error}"
        );
        let error = writer.write_zero(cluster..3).unwrap_err();
        assert!(
            matches!(error, WriteError::OutOfOrder { next: 2, .. }),
            "{error}"
        );
    }
    let error = writer.write_data(2, &pattern(2, 1)[1..]).unwrap_err();
    assert!(
        matches!(error, WriteError::PartialCluster { .. }),
        "{error}"
    );
    let error = writer.write_data(3, &[1; 99]).unwrap_err();
    assert!(
        matches!(error, WriteError::PartialCluster { .. }),
        "{error}"
    );
    for first in [4, u64::MAX] {
        let error = writer.write_data(first, &pattern(0, 1)).unwrap_err();
        assert!(matches!(error, WriteError::PastTheEnd { .. }), "{error}");
    }
    let error = writer.write_zero(2..5).unwrap_err();
    assert!(matches!(error, WriteError::PastTheEnd { .. }), "{error}");
    // A refusal changes nothing: the right ones still go.
    writer.write_data(2, &pattern(2, 1)).unwrap();
    writer.write_data(3, &[1; 100]).unwrap();
    writer.finish().unwrap();
}

#[test]
fn what_lies_past_the_disks_end_is_not_stored() {
    let sink = VecSink::default();
    let mut writer = ImageWriter::create(sink.clone(), options(100, None)).unwrap();
    writer.write_data(0, &vec![1; CLUSTER]).unwrap();
    writer.finish().unwrap();
    let file = sink.take();
    let data = &file[2 * CLUSTER..3 * CLUSTER];
    assert!(data[..100].iter().all(|byte| *byte == 1));
    assert!(data[100..].iter().all(|byte| *byte == 0));
}

#[test]
fn sizes_and_backing_names_that_qcow2_cannot_hold_are_refused() {
    for size in [0, u64::MAX] {
        let refused = ImageWriter::create(VecSink::default(), options(size, None));
        assert!(matches!(
            refused.unwrap_err(),
            WriteError::InvalidSize { .. }
        ));
    }
    let long = "x".repeat(1024);
    for name in ["", "/absolute", "nbd:unix:x", "json:{}", "a\0b", &long] {
        let refused = ImageWriter::create(VecSink::default(), options(GIB, Some(name)));
        assert!(
            matches!(refused.unwrap_err(), WriteError::InvalidBacking { .. }),
            "{name}"
        );
    }
}

fn data_of(clusters: std::ops::Range<u64>) -> Vec<u8> {
    clusters.flat_map(|cluster| pattern(cluster, 1)).collect()
}

#[test]
fn after_a_failure_the_writer_refuses_and_the_checkpoint_still_works() {
    let options = options(GIB, None);
    let sink = VecSink {
        full_at: Some(7 * CLUSTER_BYTES),
        ..VecSink::default()
    };
    let mut writer = ImageWriter::create(sink.clone(), options.clone()).unwrap();
    writer.write_data(0, &pattern(0, 1)).unwrap();
    let checkpoint = writer.checkpoint().unwrap();
    writer.write_data(1, &data_of(1..5)).unwrap();
    let error = writer.write_data(5, &data_of(5..9)).unwrap_err();
    assert!(matches!(error, WriteError::Sink { offset, .. } if offset == 7 * CLUSTER_BYTES));
    assert!(matches!(
        writer.write_zero(9..10).unwrap_err(),
        WriteError::FailedBefore
    ));
    assert!(matches!(
        writer.checkpoint().unwrap_err(),
        WriteError::FailedBefore
    ));
    assert!(matches!(
        writer.finish().unwrap_err(),
        WriteError::FailedBefore
    ));

    sink.bytes
        .lock()
        .unwrap()
        .truncate(checkpoint.length_bytes() as usize);
    let sink = VecSink {
        full_at: None,
        ..sink
    };
    let mut writer = ImageWriter::resume(sink, options, checkpoint).unwrap();
    assert_eq!(writer.next_guest_cluster(), 1);
    writer.write_data(1, &pattern(1, 1)).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut writer = ImageWriter::create(new_sink(&path), options(GIB, None)).unwrap();
    writer.write_data(3, &pattern(3, 1)).unwrap();
    writer.write_data(8200, &pattern(8200, 1)).unwrap();
    let checkpoint = writer.checkpoint().unwrap();
    let length = checkpoint.length_bytes();
    drop(writer);

    let resume = |options, checkpoint| {
        ImageWriter::resume(resumed_sink(&path, length), options, checkpoint).map(|_| ())
    };
    assert!(resume(options(GIB, None), checkpoint.clone()).is_ok());
    assert!(resume(options(2 * GIB, None), checkpoint.clone()).is_err());
    assert!(resume(options(GIB, Some("parent")), checkpoint.clone()).is_err());

    let json = serde_json::to_value(&checkpoint).unwrap();
    let changes = [
        ("version", serde_json::json!(2)),
        ("length_bytes", serde_json::json!(length + 1)),
        ("length_bytes", serde_json::json!(65536)),
        ("next_guest_cluster", serde_json::json!(1u64 << 40)),
        ("next_guest_cluster", serde_json::json!(8300)),
        ("l1", serde_json::json!([1000])),
        ("l1", serde_json::json!([3, 3, 3])),
        ("open", serde_json::json!(null)),
        (
            "open",
            serde_json::json!({"l1_index": 1, "runs": [[8, 1, 999]]}),
        ),
        (
            "open",
            serde_json::json!({"l1_index": 1, "runs": [[9, 1, 3], [8, 1, 4]]}),
        ),
        (
            "open",
            serde_json::json!({"l1_index": 1, "runs": [[u64::MAX, 2, 3]]}),
        ),
        (
            "open",
            serde_json::json!({"l1_index": u64::MAX, "runs": [[8, 1, 3]]}),
        ),
        ("refcount_blocks", serde_json::json!([1])),
        ("shared", serde_json::json!([[1000, [2]]])),
        ("shared", serde_json::json!([[u64::MAX, [2]]])),
        ("shared", serde_json::json!([[3, [0]]])),
        ("shared", serde_json::json!([[4, [2]], [3, [2]]])),
        (
            "open",
            serde_json::json!({"l1_index": 1, "runs": [], "packed": [[8, TIB, [9]]]}),
        ),
    ];
    for (field, value) in changes {
        let mut changed = json.clone();
        changed[field] = value.clone();
        // Some are refused as soon as they are read.
        if let Ok(changed) = serde_json::from_value::<Checkpoint>(changed) {
            let error = resume(options(GIB, None), changed);
            assert!(error.is_err(), "{field} = {value}");
        }
    }

    let mut sink = resumed_sink(&path, length);
    sink.append(&[1]).unwrap();
    let refused = ImageWriter::resume(sink, options(GIB, None), checkpoint);
    assert!(matches!(
        refused.unwrap_err(),
        WriteError::SinkPosition { .. }
    ));
}

#[test]
fn qemu_writes_into_our_image_without_finding_fault() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let mut writer = ImageWriter::create(new_sink(&path), options(GIB, None)).unwrap();
    writer.write_data(3, &pattern(3, 1)).unwrap();
    writer.write_zero(5..9).unwrap();
    writer.finish().unwrap();
    // A mounted restore or an operator may write: the refcounts must let QEMU allocate.
    let commands = ["write -P 7 0 1M", "write -P 8 700M 1M", "discard 192k 64k"];
    let mut qemu_io = Command::new("qemu-io");
    for command in commands {
        qemu_io.args(["-c", command]);
    }
    assert!(qemu_io.arg(&path).status().unwrap().success());
    assert_clean(&path);
}
