//! Chains written at random, interrupted at random, judged by `qemu-img` and against a model, and
//! read back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::PathBuf;

use agent_qcow2::{CLUSTER_BYTES, Chain, Decompressor, ExtentKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use support::plan::{interesting_clusters, plan, write};
use support::{Model, assert_clean, assert_reads_as, open_chain};

/// Our reader sees the model: through extents that cover all of it in order, and at random.
fn assert_chain_reads_as(paths: &[PathBuf], model: &Model, reads: &[(Index, u64)]) {
    let chain = open_chain(paths).unwrap();
    assert_eq!(chain.virtual_size(), model.end);
    let mut at = 0;
    for extent in chain.extents(0..u64::MAX) {
        let extent = extent.unwrap();
        assert_eq!(extent.guest_offset, at);
        assert!(extent.length > 0);
        at = extent.guest_end();
        if extent.kind == ExtentKind::Zero {
            let mut data = model.clusters.range(extent.guest_offset / CLUSTER_BYTES..);
            let is_zero = |bytes: &Vec<u8>| bytes.iter().all(|byte| *byte == 0);
            let first = data
                .find(|(_, bytes)| !is_zero(bytes))
                .map(|(cluster, _)| *cluster);
            assert!(first.is_none_or(|first| (first + 1) * CLUSTER_BYTES > extent.guest_offset));
        } else {
            let mut bytes = vec![0; extent.length as usize];
            chain.read_extent(&extent, 0, &mut bytes).unwrap();
            assert_eq!(bytes, model.read(extent.guest_offset, bytes.len()));
            let skip = extent.length / 3;
            let mut tail = vec![0; (extent.length - skip) as usize];
            chain.read_extent(&extent, skip, &mut tail).unwrap();
            assert_eq!(tail, bytes[skip as usize..]);
        }
    }
    assert_eq!(at, model.end);
    assert_runs_read_as(&chain, model);
    for (place, length) in reads {
        let near: Vec<u64> = interesting_clusters(model.end);
        let offset = (*place.get(&near) * CLUSTER_BYTES + length % 777).min(model.end);
        let length = (*length).min(model.end - offset) as usize;
        let mut bytes = vec![0xCC; length];
        chain.read_at(&mut bytes, offset).unwrap();
        assert!(
            bytes == model.read(offset, length),
            "at {offset}, {length} bytes"
        );
    }
}

/// Whole stretches of the disk at once, as a restore reads them.
fn assert_runs_read_as(chain: &Chain, model: &Model) {
    let mut decompressor = Decompressor::new();
    let extents: Vec<_> = chain.extents(0..u64::MAX).map(Result::unwrap).collect();
    for stretch in extents.chunk_by(|a, b| a.kind != ExtentKind::Zero || b.kind != ExtentKind::Zero)
    {
        let small: Vec<_> = stretch
            .iter()
            .filter(|extent| extent.length < 1 << 22)
            .copied()
            .collect();
        let length = small.iter().map(|extent| extent.length as usize).sum();
        let mut bytes = vec![0xCC; length];
        chain
            .read_extents(&small, &mut bytes, &mut decompressor)
            .unwrap();
        let expected = small
            .iter()
            .flat_map(|extent| model.read(extent.guest_offset, extent.length as usize));
        assert!(bytes.into_iter().eq(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_chain_reads_as_what_was_written(
        plans in vec(plan(), 1..5),
        reads in vec((any::<Index>(), 0u64..300_000), 8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Model::default();
        let mut newest_first: Vec<PathBuf> = Vec::new();
        for (n, plan) in plans.iter().enumerate() {
            let snapshot = folder.path().join(format!("snapshot_{n}/vm"));
            std::fs::create_dir_all(&snapshot).unwrap();
            let path = snapshot.join("image");
            let backing = n.checked_sub(1).map(|n| format!("../../snapshot_{n}/vm/image"));
            write(plan, &path, backing.as_deref(), n as u8 + 1, &mut model);
            newest_first.insert(0, path.clone());

            let raw = folder.path().join("model.raw");
            model.write_raw(&raw);
            assert_clean(&path);
            assert_reads_as(&path, &raw);
            assert_chain_reads_as(&newest_first, &model, &reads);
        }
    }
}
