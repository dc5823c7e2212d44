//! Thousands of valid indexes and manifests with a little damage, the same ones in each run: what is
//! damaged is refused, what is accepted is consistent.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use agent_format::index::{
    ClusterContent, IndexHeader, IndexReadError, IndexReader, IndexRecord, IndexWriter,
};
use agent_format::manifest::Manifest;
use agent_format::{Digest, HashAlgorithm};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngSeed, TestRunner};
use serde_json::Value;

const CASES: u32 = 20_000;
const HEADER: usize = 32;
const RECORD: usize = 41;

/// Runs the same cases each time.
fn for_each_case<S: Strategy>(strategy: S, test: impl Fn(S::Value)) {
    let config = ProptestConfig {
        cases: CASES,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let run = TestRunner::new(config).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    run.unwrap();
}

fn index(records: u64) -> Vec<u8> {
    let header = IndexHeader {
        cluster_size: 65536,
        size_bytes: 1 << 30,
        algorithm: HashAlgorithm::Blake3,
        is_keyed: false,
    };
    let mut writer = IndexWriter::create(Vec::new(), header).unwrap();
    for cluster in 0..records {
        let content = match cluster % 3 {
            0 => ClusterContent::Zero,
            _ => ClusterContent::Data(Digest::of(&cluster.to_le_bytes())),
        };
        let cluster = cluster * 2;
        writer.push(IndexRecord { cluster, content }).unwrap();
    }
    writer.finish().unwrap().0
}

/// The same fields with the digests that they should have: damage that no digest reveals.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else {
        return bytes.to_vec();
    };
    let mut out = header.to_vec();
    let mut digest = blake3::hash(header);
    while let Some((count, after)) = rest.split_first_chunk::<4>() {
        let length = match u32::from_le_bytes(*count) {
            0 => 8,
            records => (records as usize).saturating_mul(RECORD),
        };
        let Some((body, after)) = after.split_at_checked(length) else {
            break;
        };
        let parts = [digest.as_bytes(), &count[..], body].concat();
        digest = blake3::hash(&parts);
        out.extend(count);
        out.extend(body);
        out.extend(digest.as_bytes());
        rest = after.get(32..).unwrap_or_default();
    }
    out.extend(rest);
    out
}

fn read(bytes: &[u8]) -> Result<Vec<IndexRecord>, IndexReadError> {
    IndexReader::open(bytes)?.collect()
}

fn number() -> impl Strategy<Value = u64> {
    let mut numbers = vec![0, 1, 2, 40, 41, 4095, 4096, 4097, 16383, 16384, u64::MAX];
    numbers.extend((8..64).map(|bit| 1 << bit));
    select(numbers)
}

#[test]
fn an_index_with_damage_is_refused_and_one_with_other_fields_is_in_order() {
    let samples = [0, 1, 7, 40].map(index).to_vec();
    let edit = (any::<Index>(), number(), select(&[1usize, 4, 8][..]));
    let length = proptest::option::weighted(0.1, any::<Index>());
    let cases = (select(samples), vec(edit, 1..4), length);
    for_each_case(cases, |(sample, edits, length)| {
        let mut bytes = sample.clone();
        for (place, number, width) in edits {
            let at = place.index(bytes.len() - width);
            bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        assert_eq!(read(&bytes).is_ok(), bytes == sample);

        let bytes = sealed(&bytes);
        if let Ok(records) = read(&bytes) {
            let is_ascending = records.is_sorted_by(|a, b| a.cluster < b.cluster);
            assert!(is_ascending, "{records:?}");
            let header = *IndexReader::open(&bytes[..]).unwrap().header();
            let end = header.cluster_count();
            assert!(records.iter().all(|record| record.cluster < end));
        }
    });
}

fn manifest() -> Value {
    let fixture = include_str!(
        "../../../tests/fixtures/format-1/workload_00000000-0000-0000-0000-00000000000a/\
         snapshot_00000000-0000-0000-0000-000000000052/manifest.json"
    );
    serde_json::from_str(fixture).unwrap()
}

/// All values in a document, by their pointers.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                pointers(field, &format!("{at}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{n}"), out);
            }
        }
        _ => {}
    }
}

fn other_value() -> impl Strategy<Value = Value> {
    let text = select(
        &[
            "",
            "..",
            "/",
            "a/../b",
            "full",
            "blake3",
            "2026-11-21T09:30:00Z",
            "\u{0}",
            "00000000-0000-0000-0000-000000000052",
        ][..],
    );
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        Just(Value::Object(serde_json::Map::new())),
    ]
}

fn assert_consistent(json: &[u8]) {
    if let Ok(manifest) = Manifest::from_slice(json) {
        let again = manifest.to_vec().unwrap();
        assert_eq!(Manifest::from_slice(&again).unwrap(), manifest);
    }
}

#[test]
fn a_manifest_with_other_values_is_refused_or_consistent() {
    let sound = manifest();
    assert!(Manifest::from_slice(&serde_json::to_vec(&sound).unwrap()).is_ok());
    let mut places = Vec::new();
    pointers(&sound, "", &mut places);
    let edits = vec((select(places), other_value()), 1..3);
    for_each_case(edits, |edits| {
        let mut json = sound.clone();
        for (place, value) in edits {
            // What holds it may have been replaced before.
            if let Some(place) = json.pointer_mut(&place) {
                *place = value;
            }
        }
        assert_consistent(&serde_json::to_vec(&json).unwrap());
    });
}

#[test]
fn a_manifest_with_other_bytes_is_refused_or_consistent() {
    let sound = serde_json::to_vec_pretty(&manifest()).unwrap();
    let edit = (any::<Index>(), select(&b"{}[],:\"\\0-9eE.\0\xff\x80"[..]));
    let cut = proptest::option::weighted(0.1, any::<Index>());
    for_each_case((vec(edit, 1..6), cut), |(edits, cut)| {
        let mut json = sound.clone();
        for (place, byte) in edits {
            let at = place.index(json.len());
            json[at] = byte;
        }
        if let Some(cut) = cut {
            json.truncate(cut.index(json.len()));
        }
        assert_consistent(&json);
    });
}
