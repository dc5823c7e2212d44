//! Backups as earlier versions wrote them (tests/fixtures): manifests, indexes and images belong
//! together and are read to their last byte.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use agent_format::index::{ClusterContent, IndexReader, IndexSummary};
use agent_format::manifest::{DiskEntry, Manifest, SnapshotType};
use agent_format::{Digest, ObjectName};
use agent_qcow2::{CLUSTER_BYTES, Chain, ChainImage, ExtentKind};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/format-1")
}

fn manifests() -> Vec<Manifest> {
    let workloads = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let snapshots = workloads
        .filter(|path| path.is_dir())
        .flat_map(|path| fs::read_dir(path).unwrap())
        .map(|entry| entry.unwrap().path().join("manifest.json"));
    let mut manifests: Vec<Manifest> = snapshots
        .map(|path| Manifest::from_slice(&fs::read(path).unwrap()).unwrap())
        .collect();
    manifests.sort_by_key(|manifest| manifest.previous_snapshot_id.is_some());
    manifests
}

fn image(name: &ObjectName) -> Vec<u8> {
    let file = File::open(root().join(format!("{name}.gz"))).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// The image and its ancestors, by the names in their headers.
fn chain(newest: &ObjectName) -> Chain {
    let mut images = Vec::new();
    let mut next = Some(newest.clone());
    while let Some(name) = next {
        let data = image(&name);
        let header = agent_qcow2::Header::read(&data).unwrap();
        next = header
            .backing_name
            .map(|parent| name.resolve(&parent).unwrap());
        images.push(ChainImage {
            name: name.to_string(),
            data: Box::new(data),
        });
    }
    Chain::open(images).unwrap()
}

#[test]
fn manifests_of_format_1_are_read() {
    let manifests = manifests();
    let kinds: Vec<_> = manifests
        .iter()
        .map(|manifest| manifest.snapshot_type)
        .collect();
    assert_eq!(kinds, [SnapshotType::Full, SnapshotType::Incremental]);
    assert!(manifests.iter().all(|manifest| manifest.disks.len() == 3));
    let first = manifests.first().unwrap().snapshot_id;
    assert_eq!(manifests.last().unwrap().previous_snapshot_id, Some(first));
}

fn check_disk(disk: &DiskEntry) -> (u64, u64) {
    let chain = chain(&disk.image.name);
    let newest = chain.images().first().unwrap();
    assert_eq!(newest.size_bytes(), disk.image.size_bytes);
    assert_eq!(
        Digest::from(newest.head_blake3().unwrap()),
        disk.image.blake3
    );
    assert_eq!(chain.virtual_size(), disk.virtual_size_bytes);
    let backing = newest.header().backing_name.as_deref();
    let backing = backing.map(|name| disk.image.name.resolve(name).unwrap());
    assert_eq!(backing, disk.backing);

    let file = fs::read(root().join(disk.index.name.as_str())).unwrap();
    let mut index = IndexReader::open(&file[..]).unwrap();
    assert_eq!(index.header().size_bytes, disk.size_bytes);
    let (mut data_clusters, mut zero_clusters) = (0, 0);
    for record in index.by_ref() {
        let record = record.unwrap();
        let start = record.cluster * CLUSTER_BYTES;
        let end = (start + CLUSTER_BYTES).min(chain.virtual_size());
        let extents: Vec<_> = chain.extents(start..end).map(Result::unwrap).collect();
        let from_newest = extents.iter().all(|extent| match extent.kind {
            ExtentKind::Zero => true,
            ExtentKind::Data { image, .. } | ExtentKind::Compressed { image, .. } => image == 0,
        });
        assert!(from_newest, "{record:?}");
        let mut bytes = vec![0xCC; usize::try_from(end - start).unwrap()];
        chain.read_at(&mut bytes, start).unwrap();
        match record.content {
            ClusterContent::Zero => {
                zero_clusters += 1;
                assert!(bytes.iter().all(|byte| *byte == 0));
            }
            ClusterContent::Data(digest) => {
                data_clusters += 1;
                assert_eq!(Digest::of_cluster(&bytes, 1 << 16), digest, "{record:?}");
            }
        }
    }
    let expected = IndexSummary {
        size_bytes: disk.index.size_bytes,
        records: data_clusters + zero_clusters,
        digest: disk.index.blake3,
    };
    assert_eq!(index.summary(), Some(expected));
    assert_eq!(disk.data_bytes, data_clusters * CLUSTER_BYTES);
    assert_eq!(disk.zero_bytes, zero_clusters * CLUSTER_BYTES);
    (data_clusters, zero_clusters)
}

#[test]
fn indexes_of_format_1_verify_the_images_beside_them() {
    for (manifest, expected) in manifests().iter().zip([(8, 0), (3, 3)]) {
        for disk in &manifest.disks {
            assert_eq!(check_disk(disk), expected);
        }
    }
}
