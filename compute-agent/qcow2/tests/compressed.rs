//! Compressed images: packing, sizes, counts, reading by many threads; what old checkpoints say.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use agent_qcow2::{
    CLUSTER_BYTES, Chain, ChainImage, Checkpoint, Compression, CompressionType, Compressor,
    Decompressor, Extent, ExtentKind, Header, ImageSink, ImageWriter, ReadAt, WriteError,
};
use support::{
    CLUSTER, Model, NullSink, SparseSink, VecSink, assert_clean, assert_reads_as,
    compressed_options, mixed, new_sink, open_chain, pattern, qemu_img, resumed_sink, write_packed,
};

const GIB: u64 = 1 << 30;
const BOTH: [Compression; 2] = [Compression::Zlib, Compression::Zstd];

/// An image of `clusters` mixed ones, every fifth of them as it is.
fn packed(compression: Compression, clusters: u64) -> Vec<u8> {
    let sink = VecSink::default();
    let options = compressed_options(clusters * CLUSTER_BYTES, None, compression);
    let mut writer = ImageWriter::create(sink.clone(), options).unwrap();
    let mut compressor = Compressor::new(compression).unwrap();
    for cluster in 0..clusters {
        let data = mixed(cluster, 1);
        if cluster % 5 == 4 {
            writer.write_data(cluster, &data).unwrap();
        } else {
            write_packed(&mut writer, &mut compressor, cluster, &data);
        }
    }
    writer.finish().unwrap();
    sink.take()
}

fn chain_of(data: impl ReadAt + 'static) -> Chain {
    let name = "image".to_owned();
    let data = Box::new(data);
    Chain::open(vec![ChainImage { name, data }]).unwrap()
}

#[test]
fn qemu_finds_no_fault_in_hundreds_of_mixed_clusters() {
    for compression in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let [image, raw] = ["image", "raw"].map(|name| folder.path().join(name));
        fs::write(&image, packed(compression, 400)).unwrap();
        let mut model = Model::default();
        model.resize(400 * CLUSTER_BYTES);
        model
            .clusters
            .extend((0..400).map(|cluster| (cluster, mixed(cluster, 1))));
        model.write_raw(&raw);
        assert_clean(&image);
        assert_reads_as(&image, &raw);
        let info = qemu_img(&["info", "--output=json", image.to_str().unwrap()]).unwrap();
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        let expected = format!("{compression:?}").to_lowercase();
        assert_eq!(
            info["format-specific"]["data"]["compression-type"],
            *expected
        );
    }
}

#[test]
fn little_space_is_lost_between_payloads_and_clusters_as_they_are() {
    let options = compressed_options(GIB, None, Compression::Zstd);
    let mut writer = ImageWriter::create(NullSink::default(), options).unwrap();
    for cluster in 0..4000 {
        if cluster % 3 == 0 {
            writer.write_data(cluster, &[1; CLUSTER]).unwrap();
        } else {
            let length = 20_000 + cluster as usize * 7919 % 40_000;
            writer.write_compressed(cluster, &vec![1; length]).unwrap();
        }
    }
    let summary = writer.finish().unwrap();
    let stored = summary.counters.stored_bytes();
    assert_eq!(summary.counters.compressed_clusters, 2666);
    assert!(summary.size_bytes * 1000 < stored * 1007, "{summary:?}");
}

#[test]
fn the_header_names_zstd_and_says_nothing_of_zlib() {
    let header = |compression| packed(compression, 1)[..112].to_vec();
    let (zlib, zstd) = (header(Compression::Zlib), header(Compression::Zstd));
    assert_eq!((&zlib[72..80], zlib[103]), (&[0; 8][..], 104));
    assert_eq!(
        (&zstd[72..80], zstd[103]),
        (&[0, 0, 0, 0, 0, 0, 0, 8][..], 112)
    );
    assert_eq!(zstd[104..112], [1, 0, 0, 0, 0, 0, 0, 0]);

    let mut lie = packed(Compression::Zstd, 1);
    assert_eq!(
        Header::read(&lie).unwrap().compression,
        CompressionType::Zstd
    );
    lie[79] = 0;
    assert!(Header::read(&lie).is_err());
    lie[79] = 8;
    lie[104] = 0;
    assert!(Header::read(&lie).is_err());
}

#[test]
fn payloads_that_no_compressor_makes_are_refused() {
    let create = |compression| {
        let options = compressed_options(GIB, None, compression);
        ImageWriter::create(VecSink::default(), options).unwrap()
    };
    let is_refused = |result| matches!(result, Err(WriteError::InvalidPayload { .. }));
    assert!(is_refused(
        create(Compression::None).write_compressed(0, &[1; 100])
    ));
    let mut writer = create(Compression::Zlib);
    for length in [0, 7, CLUSTER, 2 * CLUSTER] {
        assert!(is_refused(writer.write_compressed(0, &vec![1; length])));
    }
    writer.write_compressed(3, &[1; CLUSTER - 1]).unwrap();
    for cluster in [0, 3] {
        let refused = writer.write_compressed(cluster, &[1; 100]);
        assert!(matches!(
            refused,
            Err(WriteError::OutOfOrder { next: 4, .. })
        ));
    }
    let refused = writer.write_compressed(GIB / CLUSTER_BYTES, &[1; 100]);
    assert!(matches!(refused, Err(WriteError::PastTheEnd { .. })));
    writer.write_compressed(4, &[1; 8]).unwrap();
}

#[test]
fn shared_clusters_are_counted_right_in_a_file_of_many_refcount_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    // More than two blocks of 2 GiB. The payloads are zero, so that the file is sparse.
    let options = compressed_options(12 * GIB, None, Compression::Zstd);
    let zeroes = vec![0; CLUSTER];
    let file = File::create(&path).unwrap();
    let sink = SparseSink { file, position: 0 };
    let mut writer = ImageWriter::create(sink, options.clone()).unwrap();
    let write = |writer: &mut ImageWriter<SparseSink>, cluster: u64| match cluster % 11 {
        0 => writer.write_data(cluster, &zeroes).unwrap(),
        1 if cluster < 1000 => writer.write_compressed(cluster, &zeroes[..8]).unwrap(),
        kind => {
            let length = 8000 * (kind as usize % 7) + 300 + cluster as usize % 500;
            writer.write_compressed(cluster, &zeroes[..length]).unwrap();
        }
    };
    for cluster in 0..12 * GIB / CLUSTER_BYTES {
        if cluster % 30_011 == 30_010 {
            let checkpoint = serde_json::to_vec(&writer.checkpoint().unwrap()).unwrap();
            drop(writer);
            let checkpoint: Checkpoint = serde_json::from_slice(&checkpoint).unwrap();
            let position = checkpoint.length_bytes();
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let sink = SparseSink { file, position };
            writer = ImageWriter::resume(sink, options.clone(), checkpoint).unwrap();
        }
        write(&mut writer, cluster);
    }
    let summary = writer.finish().unwrap();
    assert!(summary.size_bytes > 4 * GIB, "{summary:?}");
    assert_clean(&path);
}

#[test]
fn memory_and_checkpoint_stay_small_when_every_cluster_is_compressed() {
    let size = 128 * GIB;
    let options = compressed_options(size, None, Compression::Zstd);
    let mut writer = ImageWriter::create(NullSink::default(), options).unwrap();
    let payload = vec![1; 3000];
    let mut longest = 0;
    for cluster in 0..size / CLUSTER_BYTES {
        let length = 1000 + cluster as usize * 7919 % 2000;
        writer
            .write_compressed(cluster, &payload[..length])
            .unwrap();
        // Just before a table or a block of counts is full.
        if cluster % (8192 * 31) == 8191 * 31 {
            let json = serde_json::to_vec(&writer.checkpoint().unwrap()).unwrap();
            longest = longest.max(json.len());
        }
    }
    writer.finish().unwrap();
    assert!((20 << 10..150 << 10).contains(&longest), "{longest}");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    assert!(peak.parse::<u64>().unwrap() < 64 << 10, "{peak} KiB");
}

/// Notes the length of every append.
#[derive(Clone, Default)]
struct Appends(Arc<Mutex<Vec<usize>>>);

struct NotingSink(NullSink, Appends);

impl ImageSink for NotingSink {
    fn reserve_head(&mut self, length: u64) -> io::Result<()> {
        self.0.reserve_head(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.as_ptr().align_offset(4096) == 0);
        assert!(bytes.len().is_multiple_of(CLUSTER));
        self.1.0.lock().unwrap().push(bytes.len());
        self.0.append(bytes)
    }

    fn position(&self) -> u64 {
        self.0.position()
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _head: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_sink_gets_large_and_aligned_pieces() {
    let appends = Appends::default();
    let sink = NotingSink(NullSink::default(), appends.clone());
    let options = compressed_options(GIB, None, Compression::Zstd);
    let mut writer = ImageWriter::create(sink, options).unwrap();
    for cluster in 0..8000 {
        match cluster % 10 {
            0..3 => writer.write_data(cluster, &[1; CLUSTER]).unwrap(),
            _ => writer.write_compressed(cluster, &[1; 20_000]).unwrap(),
        }
    }
    let size = writer.finish().unwrap().size_bytes as usize;
    let appends = appends.0.lock().unwrap();
    assert!(size / appends.len() > 800 << 10, "{appends:?}");
}

#[test]
fn threads_read_side_by_side() {
    for compression in BOTH {
        let chain = chain_of(packed(compression, 200));
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut decompressor = Decompressor::new();
                    let mut buffer = vec![0; 7 * CLUSTER];
                    loop {
                        let first = next.fetch_add(7, Ordering::Relaxed);
                        let end = (first + 7).min(200);
                        if first >= end {
                            break;
                        }
                        let range = first * CLUSTER_BYTES..end * CLUSTER_BYTES;
                        let extents: Vec<Extent> =
                            chain.extents(range).map(Result::unwrap).collect();
                        let buffer = &mut buffer[..(end - first) as usize * CLUSTER];
                        chain
                            .read_extents(&extents, buffer, &mut decompressor)
                            .unwrap();
                        for (cluster, bytes) in (first..).zip(buffer.chunks(CLUSTER)) {
                            assert!(bytes == mixed(cluster, 1), "{cluster}");
                        }
                    }
                });
            }
        });
    }
}

/// Counts reads.
struct Counting(Vec<u8>, Arc<AtomicU64>);

impl ReadAt for Counting {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read_exact_at(buffer, offset)
    }

    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }
}

#[test]
fn payloads_that_follow_each_other_are_read_at_once() {
    let reads = Arc::new(AtomicU64::new(0));
    let chain = chain_of(Counting(packed(Compression::Zstd, 40), Arc::clone(&reads)));
    let extents: Vec<Extent> = chain.extents(0..u64::MAX).map(Result::unwrap).collect();
    let as_they_are = extents
        .iter()
        .filter(|extent| matches!(extent.kind, ExtentKind::Data { .. }))
        .count();
    assert!(as_they_are >= 8);
    let mut bytes = vec![0; 40 * CLUSTER];
    let before = reads.load(Ordering::Relaxed);
    let mut decompressor = Decompressor::new();
    chain
        .read_extents(&extents, &mut bytes, &mut decompressor)
        .unwrap();
    let count = reads.load(Ordering::Relaxed) - before;
    assert!(count <= as_they_are as u64 + 2, "{count} reads");
    let expected: Vec<u8> = (0..40).flat_map(|cluster| mixed(cluster, 1)).collect();
    assert!(bytes == expected);
}

#[test]
fn extents_must_fill_the_buffer_and_lie_in_their_cluster() {
    let chain = chain_of(packed(Compression::Zstd, 4));
    let extents: Vec<Extent> = chain.extents(0..u64::MAX).map(Result::unwrap).collect();
    let mut decompressor = Decompressor::new();
    for length in [0, CLUSTER, 5 * CLUSTER] {
        let read = chain.read_extents(&extents, &mut vec![0; length], &mut decompressor);
        assert!(read.is_err());
    }
    let is_compressed = |extent: &&Extent| matches!(extent.kind, ExtentKind::Compressed { .. });
    let mut far = *extents.iter().find(is_compressed).unwrap();
    far.guest_offset += 1;
    let read = chain.read_extents(&[far], &mut [0; CLUSTER], &mut decompressor);
    assert!(read.is_err());
}

#[test]
fn damage_in_a_payload_names_its_place_and_hurts_no_other_cluster() {
    for compression in BOTH {
        let image = packed(compression, 4);
        let chain = chain_of(image.clone());
        let extents: Vec<Extent> = chain.extents(0..u64::MAX).map(Result::unwrap).collect();
        let ExtentKind::Compressed { host_offset, .. } = extents[1].kind else {
            panic!("{extents:?}");
        };
        let mut damaged = image;
        damaged[host_offset as usize..][..4].fill(0xFF);
        let chain = chain_of(damaged);
        let mut decompressor = Decompressor::new();
        let mut bytes = vec![0; CLUSTER];
        let error = chain
            .read_extents(&extents[1..2], &mut bytes, &mut decompressor)
            .unwrap_err();
        let place = format!("damaged at offset {host_offset}: a compressed cluster");
        assert!(error.to_string().contains(&place), "{error}");
        chain
            .read_extents(&extents[2..3], &mut bytes, &mut decompressor)
            .unwrap();
        assert!(bytes == mixed(2, 1));
    }
}

#[test]
fn a_checkpoint_of_the_first_version_is_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let [image, raw] = ["image", "raw"].map(|name| folder.path().join(name));
    // Written by the program as it was before it could compress, at three clusters of its file.
    let checkpoint = r#"{
        "version": 1,
        "options": {"size_bytes": 1073741824, "backing": null, "compression": "none"},
        "reserved_bytes": 131072, "next_guest_cluster": 4, "length_bytes": 196608,
        "l1": [], "open": {"l1_index": 0, "runs": [[3, 1, 2]]}, "refcount_blocks": [],
        "counters": {"data_clusters": 1, "zero_clusters": 0}
    }"#;
    let checkpoint: Checkpoint = serde_json::from_str(checkpoint).unwrap();
    let mut sink = new_sink(&image);
    sink.reserve_head(2 * CLUSTER_BYTES).unwrap();
    sink.append(&pattern(3, 1)).unwrap();
    drop(sink);
    let options = compressed_options(GIB, None, Compression::None);
    let sink = resumed_sink(&image, checkpoint.length_bytes());
    let mut writer = ImageWriter::resume(sink, options, checkpoint).unwrap();
    writer.write_data(9000, &pattern(9000, 1)).unwrap();
    writer.finish().unwrap();

    let mut model = Model::default();
    model.resize(GIB);
    model
        .clusters
        .extend([3, 9000].map(|cluster| (cluster, pattern(cluster, 1))));
    model.write_raw(&raw);
    assert_clean(&image);
    assert_reads_as(&image, &raw);
    assert!(open_chain(&[&image]).is_ok());
}

#[test]
fn a_full_sink_is_noticed_before_the_image_is_finished() {
    let sink = VecSink {
        full_at: Some(3 * CLUSTER_BYTES),
        ..VecSink::default()
    };
    let options = compressed_options(GIB, None, Compression::Zstd);
    let mut writer = ImageWriter::create(sink, options).unwrap();
    writer.write_compressed(0, &[1; 65_000]).unwrap();
    writer.checkpoint().unwrap();
    let failure = (1..200).find_map(|n| writer.write_compressed(n, &[1; 65_000]).err());
    assert!(matches!(failure, Some(WriteError::Sink { .. })));
    assert!(matches!(writer.checkpoint(), Err(WriteError::FailedBefore)));
    assert!(matches!(writer.finish(), Err(WriteError::FailedBefore)));
}
