//! Images planned at random.

use std::collections::BTreeMap;
use std::path::Path;

use agent_qcow2::{CLUSTER_BYTES, Checkpoint, Compression, Compressor, ImageWriter};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{CLUSTER, Model, compressed_options, mixed, new_sink, resumed_sink, write_packed};

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
pub(crate) enum Action {
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
pub(crate) struct Plan {
    pub(crate) size_bytes: u64,
    pub(crate) compression: Compression,
    pub(crate) writes: Vec<(Index, u64, Action)>,
    pub(crate) deaths: Vec<Index>,
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
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
pub(crate) fn interesting_clusters(size_bytes: u64) -> Vec<u64> {
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
pub(crate) fn write(plan: &Plan, path: &Path, backing: Option<&str>, seed: u8, model: &mut Model) {
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
