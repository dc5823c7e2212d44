//! Writes a small backup of one VM with three disks, a full and an incremental, to a folder that must
//! not exist: samples of what this version writes, for later versions to read (tests/fixtures/README.md).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "whoever runs it looks at it"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use agent_format::index::{ClusterContent, IndexHeader, IndexRecord, IndexWriter};
use agent_format::layout::{DiskName, SnapshotFolder, WorkloadFolder, index_of};
use agent_format::manifest::Manifest;
use agent_format::{Digest, HashAlgorithm, ObjectName};
use agent_qcow2::{
    Backing, BackingFormat, CLUSTER_BYTES, Compression, Compressor, FileSink, ImageOptions,
    ImageWriter,
};
use serde_json::{Value, json};
use uuid::Uuid;

const CLUSTER: usize = 1 << 16;
/// 49 clusters, the last of 700 bytes.
const SIZE_BYTES: u64 = 48 * CLUSTER_BYTES + 700;
const DISKS: [(&str, Compression); 3] = [
    ("vda", Compression::None),
    ("vdb", Compression::Zstd),
    ("vdc", Compression::Zlib),
];

/// What a snapshot changes: clusters with data, the ones that no compressor makes shorter, zeroes.
struct Changes {
    text: &'static [u64],
    noise: &'static [u64],
    zero: &'static [Range<u64>],
}

const FULL: Changes = Changes {
    text: &[0, 1, 2, 7, 8, 20, 48],
    noise: &[5],
    zero: &[],
};
const INCREMENTAL: Changes = Changes {
    text: &[1, 6, 48],
    noise: &[],
    zero: &[2..3, 7..9],
};

fn main() -> io::Result<()> {
    let root = std::env::args_os().nth(1).map(PathBuf::from);
    let root = root.expect("usage: write_fixtures FOLDER");
    fs::create_dir(&root)?;
    let workload = WorkloadFolder {
        workload_id: Uuid::from_u128(0xA).into(),
    };
    let first = Uuid::from_u128(0x51);
    let parents = write_snapshot(&root, workload, first, None, &FULL)?;
    let second = Uuid::from_u128(0x52);
    let previous = Some((first, parents));
    write_snapshot(&root, workload, second, previous, &INCREMENTAL)?;
    Ok(())
}

fn write_snapshot(
    root: &Path,
    workload: WorkloadFolder,
    id: Uuid,
    previous: Option<(Uuid, Vec<ObjectName>)>,
    changes: &Changes,
) -> io::Result<Vec<ObjectName>> {
    let folder = workload.snapshot(id.into());
    let mut images = Vec::new();
    let mut disks = Vec::new();
    for (n, (name, compression)) in DISKS.into_iter().enumerate() {
        let parent = previous.as_ref().map(|(_, images)| &images[n]);
        let (image, entry) = write_disk(root, folder, n, name, compression, parent, changes)?;
        images.push(image);
        disks.push(entry);
    }
    let manifest = json!({
        "format_version": 1,
        "workload_id": workload.workload_id,
        "snapshot_id": id,
        "snapshot_type": if previous.is_some() { "incremental" } else { "full" },
        "created_at": "2026-11-21T09:30:00Z",
        "previous_snapshot_id": previous.map(|(id, _)| id),
        "hash": {"algorithm": "blake3", "is_keyed": false},
        "disks": disks,
        "objects": [],
    });
    let manifest: Manifest = serde_json::from_value(manifest).expect("a manifest");
    let json = manifest.to_vec().expect("it is consistent");
    fs::write(root.join(folder.manifest().as_str()), json)?;
    Ok(images)
}

fn write_disk(
    root: &Path,
    folder: SnapshotFolder,
    number: usize,
    name: &str,
    compression: Compression,
    parent: Option<&ObjectName>,
    changes: &Changes,
) -> io::Result<(ObjectName, Value)> {
    let (vm, volume) = (Uuid::from_u128(0xB), Uuid::from_u128(0xC0 + number as u128));
    let disk = DiskName::new(name).expect("a name");
    let id = Uuid::from_u128(folder.snapshot_id.0.as_u128() * 16 + number as u128);
    let image = folder.image(vm.into(), volume.into(), &disk, id.into());
    let index = index_of(&image).expect("a name");
    let path = root.join(image.as_str());
    fs::create_dir_all(path.parent().expect("it has a folder"))?;

    let options = ImageOptions {
        size_bytes: SIZE_BYTES,
        backing: parent.map(|parent| Backing {
            name: image.relative_path_to(parent),
            format: BackingFormat::Qcow2,
        }),
        compression,
    };
    let header = IndexHeader {
        cluster_size: 1 << 16,
        size_bytes: SIZE_BYTES,
        algorithm: HashAlgorithm::Blake3,
        is_keyed: false,
    };
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let mut writer = ImageWriter::create(FileSink::create(file)?, options).expect("an image");
    let index_file = File::create_new(root.join(index.as_str()))?;
    let mut indexer = IndexWriter::create(index_file, header).expect("an index");
    let mut compressor = Compressor::new(compression).expect("a compressor");
    for (cluster, content) in contents(number, folder.snapshot_id.0, changes) {
        let content = match content {
            None => {
                writer.write_zero(cluster..cluster + 1).expect("a cluster");
                ClusterContent::Zero
            }
            Some(bytes) => {
                match compressor.compress(&bytes).expect("a cluster") {
                    Some(payload) => writer.write_compressed(cluster, payload),
                    None => writer.write_data(cluster, &bytes),
                }
                .expect("a cluster");
                ClusterContent::Data(Digest::of_cluster(&bytes, CLUSTER))
            }
        };
        let record = IndexRecord { cluster, content };
        indexer.push(record).expect("a record");
    }
    let summary = writer.finish().expect("an image");
    let (_, indexed) = indexer.finish().expect("an index");
    compress_file(&path)?;
    let entry = json!({
        "vm_id": vm,
        "resource_id": volume,
        "disk": name,
        "image": {
            "name": image,
            "size_bytes": summary.size_bytes,
            "blake3": Digest::from(summary.head_blake3),
        },
        "index": {"name": index, "size_bytes": indexed.size_bytes, "blake3": indexed.digest},
        "backing": parent,
        "size_bytes": SIZE_BYTES,
        "virtual_size_bytes": summary.virtual_size,
        "cluster_size": 1 << 16,
        "data_bytes": summary.counters.data_clusters * CLUSTER_BYTES,
        "zero_bytes": summary.counters.zero_clusters * CLUSTER_BYTES,
    });
    Ok((image, entry))
}

/// The clusters in order; none are zeroes.
fn contents(disk: usize, snapshot: Uuid, changes: &Changes) -> BTreeMap<u64, Option<Vec<u8>>> {
    let mut contents = BTreeMap::new();
    for cluster in changes.zero.iter().cloned().flatten() {
        contents.insert(cluster, None);
    }
    for (clusters, is_noise) in [(changes.text, false), (changes.noise, true)] {
        for cluster in clusters {
            let seed = format!("disk {disk}, snapshot {snapshot}, cluster {cluster}\n");
            let left = SIZE_BYTES - cluster * CLUSTER_BYTES;
            let length = usize::try_from(left).unwrap_or(CLUSTER).min(CLUSTER);
            let mut bytes = vec![0; length];
            let noisy = if is_noise { length } else { length.min(5000) };
            blake3::Hasher::new()
                .update(seed.as_bytes())
                .finalize_xof()
                .fill(&mut bytes[..noisy]);
            let text = seed.bytes().cycle();
            bytes[noisy..]
                .iter_mut()
                .zip(text)
                .for_each(|(to, from)| *to = from);
            contents.insert(*cluster, Some(bytes));
        }
    }
    contents
}

/// Puts `<name>.gz` in the place of a file: metadata of an image is mostly zero.
fn compress_file(path: &Path) -> io::Result<()> {
    let packed = File::create_new(path.with_extension("gz"))?;
    let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::best());
    encoder.write_all(&fs::read(path)?)?;
    encoder.finish()?;
    fs::remove_file(path)
}
