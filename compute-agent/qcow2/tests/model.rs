//! Chains written at random, interrupted at random, judged by `qemu-img` and against a model, and
//! read back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agent_qcow2::{
    CLUSTER_BYTES, Chain, Checkpoint, Compression, Compressor, Decompressor, ExtentKind,
    ImageWriter,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::{
    CLUSTER, Model, assert_clean, assert_reads_as, compressed_options, mixed, new_sink, open_chain,
    resumed_sink, write_packed,
};

const MIB: u64 = 1 << 20;
const SIZES: [u64; 14] = [
    1,
    511,
    512,
    513,
    65535,
    65536,
    65537,
    5 * 65536 + 700,
    40 * 65536,
    512 * MIB - 1,
    512 * MIB,
    512 * MIB + 1,
    1024 * MIB + 65536 + 3,
    1536 * MIB + 12345,
];

#[derive(Debug, Clone, Copy)]
enum Action {
    Data,
    /// As it is, in a compressed image too.
    Raw,
    Zero,
}

impl Action {
    fn is_data(self) -> bool {
        !matches!(self, Self::Zero)
    }
}

/// One image: the disk's size, what is written where, after which writes the process dies.
#[derive(Debug, Clone)]
struct Plan {
    size_bytes: u64,
    compression: Compression,
    writes: Vec<(Index, u64, Action)>,
    deaths: Vec<Index>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let action = select(&[Action::Data, Action::Data, Action::Raw, Action::Zero][..]);
    // Some fill more than a chunk of payloads.
    let length = prop_oneof![9 => 1u64..12, 1 => 60u64..120];
    let writes = vec((any::<Index>(), length, action), 0..14);
    let compression = select(&[Compression::None, Compression::Zlib, Compression::Zstd][..]);
    let deaths = vec(any::<Index>(), 0..3);
    (select(&SIZES[..]), compression, writes, deaths).prop_map(
        |(size_bytes, compression, writes, deaths)| Plan {
            size_bytes,
            compression,
            writes,
            deaths,
        },
    )
}

/// Clusters where something can go wrong: the disk's ends and the ends of L2 tables.
fn interesting_clusters(size_bytes: u64) -> Vec<u64> {
    let count = size_bytes.div_ceil(CLUSTER_BYTES);
    let near = |at: u64| at.saturating_sub(5)..(at + 6);
    let places = [near(0), near(8192), near(16384), near(count - 1)];
    places
        .into_iter()
        .flatten()
        .filter(|cluster| *cluster < count)
        .collect()
}

impl Plan {
    fn actions(&self) -> BTreeMap<u64, Action> {
        let clusters = interesting_clusters(self.size_bytes);
        let count = self.size_bytes.div_ceil(CLUSTER_BYTES);
        let mut actions = BTreeMap::new();
        for (place, length, action) in &self.writes {
            let first = *place.get(&clusters);
            for cluster in first..(first + length).min(count) {
                actions.insert(cluster, *action);
            }
        }
        actions
    }
}

/// Neighbours of one kind as one write.
fn runs(actions: &BTreeMap<u64, Action>) -> Vec<(u64, u64, Action)> {
    let mut runs: Vec<(u64, u64, Action)> = Vec::new();
    for (cluster, action) in actions {
        match runs.last_mut() {
            Some((_, end, last))
                if end == cluster
                    && std::mem::discriminant(last) == std::mem::discriminant(action) =>
            {
                *end += 1;
            }
            _ => runs.push((*cluster, cluster + 1, *action)),
        }
    }
    runs
}

fn data_of(first: u64, end: u64, seed: u8, size_bytes: u64) -> Vec<u8> {
    let mut data: Vec<u8> = (first..end)
        .flat_map(|cluster| mixed(cluster, seed))
        .collect();
    data.truncate((size_bytes - first * CLUSTER_BYTES).min(data.len() as u64) as usize);
    data
}

/// Writes the image, dying and resuming as planned, and applies it to the model.
fn write(plan: &Plan, path: &Path, backing: Option<&str>, seed: u8, model: &mut Model) {
    let options = compressed_options(plan.size_bytes, backing, plan.compression);
    let mut compressor = Compressor::new(plan.compression).unwrap();
    let actions = plan.actions();
    let runs = runs(&actions);
    let deaths: Vec<usize> = plan
        .deaths
        .iter()
        .map(|death| death.index(runs.len() + 1))
        .collect();
    let mut writer = ImageWriter::create(new_sink(path), options.clone()).unwrap();
    for at in 0..=runs.len() {
        if deaths.contains(&at) {
            let saved = serde_json::to_vec(&writer.checkpoint().unwrap()).unwrap();
            // The process goes on for a while before it dies; all of that is lost.
            let next = writer.next_guest_cluster();
            if next < plan.size_bytes.div_ceil(CLUSTER_BYTES) {
                let data = data_of(next, next + 1, 0xDD, plan.size_bytes);
                write_packed(&mut writer, &mut compressor, next, &data);
            }
            drop(writer);
            let checkpoint: Checkpoint = serde_json::from_slice(&saved).unwrap();
            assert_eq!(checkpoint.next_guest_cluster(), next);
            let sink = resumed_sink(path, checkpoint.length_bytes());
            writer = ImageWriter::resume(sink, options.clone(), checkpoint).unwrap();
        }
        match runs.get(at) {
            Some((first, end, Action::Data)) => {
                let data = data_of(*first, *end, seed, plan.size_bytes);
                write_packed(&mut writer, &mut compressor, *first, &data);
            }
            Some((first, end, Action::Raw)) => {
                let data = data_of(*first, *end, seed, plan.size_bytes);
                writer.write_data(*first, &data).unwrap();
            }
            Some((first, end, Action::Zero)) => writer.write_zero(*first..*end).unwrap(),
            None => {}
        }
    }
    let summary = writer.finish().unwrap();
    assert_eq!(summary.size_bytes, std::fs::metadata(path).unwrap().len());
    let count = |data| actions.values().filter(|a| a.is_data() == data).count() as u64;
    assert_eq!(summary.counters.data_clusters, count(true));
    assert_eq!(summary.counters.zero_clusters, count(false));

    model.resize(plan.size_bytes);
    for (cluster, action) in &actions {
        model.clusters.remove(cluster);
        if action.is_data() {
            let mut bytes = data_of(*cluster, cluster + 1, seed, plan.size_bytes);
            bytes.resize(CLUSTER, 0);
            model.clusters.insert(*cluster, bytes);
        }
    }
}

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
