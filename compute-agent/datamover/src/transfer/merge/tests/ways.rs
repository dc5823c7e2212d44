//! What a merge leaves behind, on each kind of target.

use agent_contract::ImageCompression;
use agent_format::layout::{DiskName, index_of};
use agent_format::manifest::{
    DiskEntry, FORMAT_VERSION, HashUse, Manifest, ObjectRecord, SnapshotType,
};
use agent_format::{Digest, HashAlgorithm, ObjectName};
use agent_qcow2::Header;
use chrono::DateTime;
use uuid::Uuid;

use super::history::{History, KINDS, Kind, image_name, merge_job, name};
use crate::transfer::error::JobError;
use crate::transfer::merge::{abandon, facts};
use crate::transfer::test_host::{C, Life, image};
use crate::transfer::ticket::Interrupted;

const COMPRESSIONS: [ImageCompression; 3] = [
    ImageCompression::None,
    ImageCompression::Zstd,
    ImageCompression::Zlib,
];

#[test]
fn the_oldest_goes_again_and_again() {
    for kind in KINDS {
        for compression in COMPRESSIONS {
            let mut history = History::four(kind, compression);
            for removed in 1..4 {
                let facts = history.merge(removed, removed + 1).unwrap();
                history.assert_all();
                history.assert_tidy();
                let image = name(&image_name(removed + 1));
                let stat = history.target.stat(&image).unwrap().unwrap();
                assert_eq!(facts.image_size_bytes, stat.size_bytes, "{kind:?}");
                assert_eq!(facts.zero_bytes, 0);
                let header = Header::read(&history.target.open_image(&image).unwrap()).unwrap();
                assert_eq!(header.backing_name, None);
            }
        }
    }
}

#[test]
fn one_in_the_middle_goes_and_zeroes_stay_declared() {
    for kind in KINDS {
        let mut history = History::four(kind, ImageCompression::None);
        let facts = history.merge(2, 3).unwrap();
        history.assert_all();
        history.assert_tidy();
        // Clusters 20 and 22; 21 was written again.
        assert_eq!(facts.zero_bytes, 2 * C as u64, "{kind:?}");
        history.merge(3, 4).unwrap();
        history.merge(1, 4).unwrap();
        history.assert_all();
        history.assert_tidy();
    }
}

#[test]
fn a_merge_that_is_done_says_the_same_again() {
    for kind in KINDS {
        let mut history = History::four(kind, ImageCompression::Zstd);
        let first = history.merge(1, 2).unwrap();
        let again = history.merge(1, 2).unwrap();
        assert_eq!(first, again, "{kind:?}");
    }
}

#[test]
fn an_image_that_does_not_build_upon_the_other_is_refused() {
    let mut history = History::four(Kind::Directory, ImageCompression::None);
    for (removed, kept) in [(1, 3), (2, 1), (4, 3)] {
        let error = history.merge(removed, kept).unwrap_err();
        assert!(matches!(error, JobError::Refused(_)), "{error:?}");
        history.disks = History::four(Kind::Memory, ImageCompression::None).disks;
        history.assert_all();
        history.assert_tidy();
    }
}

#[test]
fn a_damaged_index_stops_the_merge_before_anything_is_seen_of_it() {
    for kind in KINDS {
        let mut history = History::four(kind, ImageCompression::None);
        let index = index_of(&name(&image_name(1))).unwrap();
        let whole = history.target.get_object(&index, 1 << 20).unwrap();
        let mut damaged = whole.clone();
        damaged[100] ^= 1;
        history.target.put_object(&index, &damaged).unwrap();
        let error = history.merge(1, 2).unwrap_err();
        assert!(matches!(error, JobError::MergeIndexes { .. }), "{error:?}");
        history.target.put_object(&index, &whole).unwrap();
        history.assert_all();
        history.assert_tidy();
    }
}

#[test]
fn a_cancelled_merge_leaves_the_chain_as_it_was() {
    for kind in KINDS {
        let history = History::four(kind, ImageCompression::None);
        let host = super::history::host_on(history.target.clone());
        let life = Life::new();
        let job = merge_job(1, 2);
        let before = blocks(&history);
        let error = life.live(&host, |run| {
            run.ticket.interrupt(Interrupted::Cancelled);
            super::super::run(run, &job).unwrap_err()
        });
        assert!(matches!(error, JobError::Interrupted(_)), "{error:?}");
        abandon(&host.host, &job).unwrap();
        history.assert_all();
        history.assert_tidy();
        assert_eq!(blocks(&history), before);
    }
}

fn blocks(history: &History) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    let root = history.root.as_ref()?;
    let file = root.join(image_name(1));
    Some(std::fs::metadata(file).unwrap().blocks())
}

#[test]
fn facts_are_those_of_what_lies_there() {
    for kind in KINDS {
        let mut history = History::four(kind, ImageCompression::Zstd);
        let made = history.merge(2, 3).unwrap();
        let host = super::history::host_on(history.target.clone());
        let place = host.host.place(&image(&image_name(3))).unwrap();
        assert_eq!(facts::of(&place).unwrap(), made, "{kind:?}");
    }
}

/// As it was before anything was merged; sizes and digests are of something else.
fn manifest(history: &History) -> Manifest {
    let image = name(&image_name(2));
    let record = |name: ObjectName| ObjectRecord {
        name,
        size_bytes: 1,
        blake3: Digest::of(b"before"),
    };
    let size_bytes = history.disks[&image_name(2)].len() as u64;
    Manifest {
        format_version: FORMAT_VERSION,
        workload_id: Uuid::from_u128(1).into(),
        snapshot_id: Uuid::from_u128(2).into(),
        snapshot_type: SnapshotType::Incremental,
        created_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        previous_snapshot_id: Some(Uuid::from_u128(1).into()),
        hash: HashUse {
            algorithm: HashAlgorithm::Blake3,
            is_keyed: false,
        },
        disks: vec![DiskEntry {
            vm_id: Uuid::from_u128(4).into(),
            resource_id: Uuid::from_u128(5).into(),
            disk: DiskName::new("vda").unwrap(),
            index: record(index_of(&image).unwrap()),
            image: record(image),
            backing: Some(name(&image_name(1))),
            size_bytes,
            virtual_size_bytes: size_bytes.next_multiple_of(512),
            cluster_size: 65536,
            data_bytes: 0,
            zero_bytes: 0,
            mark: None,
        }],
        objects: Vec::new(),
    }
}

#[test]
fn the_manifest_follows() {
    for kind in KINDS {
        let mut history = History::four(kind, ImageCompression::None);
        let manifest = manifest(&history).to_vec().unwrap();
        let at = name("w/s002/manifest.json");
        history.target.put_object(&at, &manifest).unwrap();
        let facts = history.merge(1, 2).unwrap();
        let json = history.target.get_object(&at, 1 << 20).unwrap();
        let manifest = Manifest::from_slice(&json).unwrap();
        let disk = &manifest.disks[0];
        assert_eq!(manifest.snapshot_type, SnapshotType::Full);
        assert_eq!(disk.image.blake3.to_string(), facts.image_blake3);
        assert_eq!(disk.index.blake3.to_string(), facts.index_blake3);
        assert_eq!(disk.image.size_bytes, facts.image_size_bytes);
        assert_eq!(
            (disk.backing.as_ref(), disk.data_bytes),
            (None, facts.data_bytes)
        );
        history.target.delete(&at).unwrap();
        history.assert_tidy();
    }
}
