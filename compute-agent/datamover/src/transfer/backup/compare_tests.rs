//! Chains made by comparing hashes, against vectors of bytes.

use std::fs;

use agent_blocks::memory::MemoryDisk;
use agent_blocks::{Extent, ExtentKind};
use agent_contract::{BackupJob, ImageCompression, ImageFacts};
use proptest::prelude::*;

use super::tests::{back_up, check_against};
use crate::transfer::test_host::{C, Life, TestHost, backup_job, host, image, noise};

/// A disk that tells its allocation to the cluster: zero clusters are holes, if `is_sparse`.
fn disk(bytes: &[u8], is_sparse: bool) -> MemoryDisk {
    let disk = MemoryDisk::new(bytes.to_vec());
    if !is_sparse {
        return disk;
    }
    let clusters = bytes.chunks(C).enumerate();
    let data = clusters.filter(|(_, cluster)| cluster.iter().any(|byte| *byte != 0));
    disk.with_allocated(data.map(|(n, cluster)| Extent {
        offset: (n * C) as u64,
        length: cluster.len() as u64,
        kind: ExtentKind::Data,
    }))
}

fn compared(name: &str, size_bytes: usize, backing: &str) -> BackupJob {
    BackupJob {
        backing: Some(image(backing)),
        ..backup_job(name, size_bytes, None)
    }
}

fn full(host: &TestHost, name: &str, bytes: &[u8]) -> ImageFacts {
    let job = backup_job(name, bytes.len(), None);
    back_up(host, &Life::new(), &job, &disk(bytes, false)).unwrap()
}

fn incremental(host: &TestHost, name: &str, backing: &str, bytes: &[u8]) -> ImageFacts {
    let job = compared(name, bytes.len(), backing);
    back_up(host, &Life::new(), &job, &disk(bytes, true)).unwrap()
}

#[test]
fn a_disk_that_did_not_change_costs_nothing() {
    let host = host();
    let bytes = noise(50 * C + 700, 1);
    full(&host, "w/a", &bytes);
    let facts = incremental(&host, "w/b", "w/a", &bytes);
    assert_eq!((facts.data_bytes, facts.zero_bytes), (0, 0));
    assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
    check_against(&host, "w/b", &bytes);
}

/// The bytes that a smaller disk hid must not come back, nor be taken for what is there now.
#[test]
fn a_disk_that_shrank_and_grew_again_is_what_it_is_now() {
    let host = host();
    let old = noise(10 * C, 1);
    full(&host, "w/a", &old);
    let small = &old[..4 * C + 512];
    incremental(&host, "w/b", "w/a", small);
    check_against(&host, "w/b", small);
    let mut grown = small.to_vec();
    grown.resize(12 * C, 0);
    incremental(&host, "w/c", "w/b", &grown);
    check_against(&host, "w/c", &grown);
    // The very bytes that were there once.
    let mut again = old.clone();
    again.resize(12 * C, 0);
    let facts = incremental(&host, "w/d", "w/c", &again);
    assert_eq!(facts.data_bytes, 6 * C as u64);
    check_against(&host, "w/d", &again);
}

#[test]
fn without_a_whole_index_all_that_is_not_known_is_stored_again_and_said() {
    let bytes = noise(60 * C, 3);
    for damage in 0..3 {
        let host = host();
        full(&host, "w/a", &bytes);
        let index = host.path("w/a.index");
        match damage {
            0 => fs::remove_file(&index).unwrap(),
            1 => {
                let mut damaged = fs::read(&index).unwrap();
                let middle = damaged.len() / 2;
                damaged[middle] ^= 1;
                fs::write(&index, damaged).unwrap();
            }
            _ => {
                let damaged = fs::read(&index).unwrap();
                fs::write(&index, &damaged[..damaged.len() - 10]).unwrap();
            }
        }
        let mut now = bytes.clone();
        now[7 * C] ^= 1;
        now[20 * C..30 * C].fill(0);
        let facts = incremental(&host, "w/b", "w/a", &now);
        let [warning] = facts.warnings.as_slice() else {
            panic!("{damage}: {:?}", facts.warnings);
        };
        assert!(warning.contains("backed up again"), "{warning}");
        check_against(&host, "w/b", &now);
        if damage < 2 {
            let (data, zero) = (50 * C as u64, 10 * C as u64);
            assert_eq!(
                (facts.data_bytes, facts.zero_bytes),
                (data, zero),
                "{damage}"
            );
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write {
        cluster: usize,
        count: usize,
        seed: u64,
    },
    Zero {
        cluster: usize,
        count: usize,
    },
    Resize(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..60_usize, 1..6_usize, 1..4_u64)
            .prop_map(|(cluster, count, seed)| Change::Write { cluster, count, seed }),
        3 => (0..60_usize, 1..12_usize).prop_map(|(cluster, count)| Change::Zero { cluster, count }),
        1 => (1..8 * C).prop_map(|size| Change::Resize(size * 8)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let range = |cluster: usize, count: usize, length: usize| {
        (cluster * C).min(length)..((cluster + count) * C).min(length)
    };
    match *change {
        Change::Write {
            cluster,
            count,
            seed,
        } => {
            let range = range(cluster, count, bytes.len());
            // The same bytes come again, also where they were before.
            let new = noise(range.len(), seed);
            bytes[range].copy_from_slice(&new);
        }
        Change::Zero { cluster, count } => {
            let range = range(cluster, count, bytes.len());
            bytes[range].fill(0);
        }
        Change::Resize(size) => bytes.resize(size, 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_image_of_a_chain_is_the_disk_as_it_was(
        size in 1..60 * C,
        snapshots in prop::collection::vec(
            (prop::collection::vec(change(), 0..5), any::<bool>(), 0..3_u8), 1..6),
    ) {
        let host = host();
        let mut bytes = noise(size, 9);
        full(&host, "w/0", &bytes);
        let mut wanted = vec![bytes.clone()];
        for (n, (changes, is_sparse, compression)) in snapshots.iter().enumerate() {
            changes.iter().for_each(|change| apply(&mut bytes, change));
            let mut job = compared(&format!("w/{}", n + 1), bytes.len(), &format!("w/{n}"));
            job.compression = match compression {
                0 => ImageCompression::None,
                1 => ImageCompression::Zstd,
                _ => ImageCompression::Zlib,
            };
            let facts = back_up(&host, &Life::new(), &job, &disk(&bytes, *is_sparse)).unwrap();
            prop_assert!(facts.warnings.is_empty());
            wanted.push(bytes.clone());
        }
        for (n, bytes) in wanted.iter().enumerate() {
            check_against(&host, &format!("w/{n}"), bytes);
        }
    }
}
