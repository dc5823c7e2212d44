//! The index as a stream: what is written is what is read, however it was interrupted, and
//! whatever happens to its bytes is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use agent_format::index::{
    ClusterContent, IndexHeader, IndexReadError, IndexReader, IndexRecord, IndexWriteError,
    IndexWriter,
};
use agent_format::{Digest, HashAlgorithm};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

const CLUSTERS: u64 = 20_000;

fn header() -> IndexHeader {
    IndexHeader {
        cluster_size: 65536,
        size_bytes: CLUSTERS * 65536 - 17,
        algorithm: HashAlgorithm::Blake3,
        is_keyed: false,
    }
}

fn record(cluster: u64, is_zero: bool) -> IndexRecord {
    let content = if is_zero {
        ClusterContent::Zero
    } else {
        ClusterContent::Data(Digest::of(&cluster.to_le_bytes()))
    };
    IndexRecord { cluster, content }
}

fn written(records: &[IndexRecord]) -> Vec<u8> {
    let mut writer = IndexWriter::create(Vec::new(), header()).unwrap();
    for record in records {
        writer.push(*record).unwrap();
    }
    writer.finish().unwrap().0
}

fn read(bytes: &[u8]) -> Result<Vec<IndexRecord>, IndexReadError> {
    IndexReader::open(bytes)?.collect()
}

fn sample(count: u64) -> Vec<IndexRecord> {
    (0..count).map(|n| record(n * 2, n % 3 == 0)).collect()
}

#[test]
fn many_blocks_come_back_with_the_summary_of_the_writer() {
    for count in [0, 1, 4095, 4096, 4097, 9000] {
        let records = sample(count);
        let mut writer = IndexWriter::create(Vec::new(), header()).unwrap();
        for record in &records {
            writer.push(*record).unwrap();
        }
        let (bytes, summary) = writer.finish().unwrap();
        assert_eq!(summary.size_bytes, bytes.len() as u64);
        assert_eq!(summary.records, count);

        let mut reader = IndexReader::open(&bytes[..]).unwrap();
        assert_eq!(*reader.header(), header());
        let found: Vec<_> = reader.by_ref().collect::<Result<_, _>>().unwrap();
        assert_eq!(found, records);
        assert_eq!(reader.summary(), Some(summary));
    }
}

#[test]
fn the_bytes_are_those_that_the_format_promises() {
    let bytes = written(&[record(1, false), record(5, true)]);
    let mut expected = b"BKSTYIDX\x01\0\0\0\0\0\x01\0".to_vec();
    expected.extend(header().size_bytes.to_le_bytes());
    expected.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    let of_header = blake3::hash(&expected);

    let mut block = b"\x02\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
    block.extend(blake3::hash(&1u64.to_le_bytes()).as_bytes());
    block.extend(b"\x05\0\0\0\0\0\0\0\x01");
    block.extend([0; 32]);
    let of_block = blake3::hash(&[of_header.as_bytes(), &block[..]].concat());
    expected.extend(block);
    expected.extend(of_block.as_bytes());

    let trailer = b"\0\0\0\0\x02\0\0\0\0\0\0\0";
    let of_trailer = blake3::hash(&[of_block.as_bytes(), &trailer[..]].concat());
    expected.extend(trailer);
    expected.extend(of_trailer.as_bytes());
    assert_eq!(bytes, expected);
}

#[test]
fn there_is_no_summary_before_the_end() {
    let bytes = written(&sample(5));
    let mut reader = IndexReader::open(&bytes[..]).unwrap();
    reader.next().unwrap().unwrap();
    assert_eq!(reader.summary(), None);
}

#[test]
fn records_out_of_order_or_past_the_end_are_refused() {
    let mut writer = IndexWriter::create(Vec::new(), header()).unwrap();
    writer.push(record(7, false)).unwrap();
    for cluster in [0, 6, 7] {
        let error = writer.push(record(cluster, false)).unwrap_err();
        assert!(
            matches!(error, IndexWriteError::OutOfOrder { previous: 7, .. }),
            "{error}"
        );
    }
    let error = writer.push(record(CLUSTERS, false)).unwrap_err();
    assert!(
        matches!(error, IndexWriteError::PastTheEnd { .. }),
        "{error}"
    );
    writer.push(record(CLUSTERS - 1, true)).unwrap();
}

#[test]
fn a_checkpoint_of_another_disk_is_refused() {
    let mut writer = IndexWriter::create(Vec::new(), header()).unwrap();
    writer.push(record(7, false)).unwrap();
    let checkpoint = writer.checkpoint().unwrap();
    let smaller = IndexHeader {
        size_bytes: 65536,
        ..header()
    };
    let error = IndexWriter::resume(Vec::new(), smaller, checkpoint).unwrap_err();
    assert!(matches!(error, IndexWriteError::ForeignCheckpoint));
}

#[test]
fn damage_is_named() {
    let bytes = written(&sample(5000));
    let with = |at: usize, value: u8| {
        let mut copy = bytes.clone();
        copy[at] = value;
        read(&copy).unwrap_err()
    };
    let second_block = 32 + 4 + 4096 * 41 + 32;
    assert!(matches!(with(0, b'X'), IndexReadError::BadMagic));
    assert!(matches!(
        with(8, 2),
        IndexReadError::UnknownVersion { version: 2 }
    ));
    assert!(matches!(with(12, 3), IndexReadError::BadHeader(_)));
    assert!(matches!(with(24, 9), IndexReadError::BadHeader(_)));
    assert!(matches!(
        with(34, 0xff),
        IndexReadError::BadCount { offset: 32 }
    ));
    assert!(matches!(
        with(100, 0xAA),
        IndexReadError::BadDigest { offset: 32 }
    ));
    let error = with(second_block + 50, 0xAA);
    assert!(
        matches!(error, IndexReadError::BadDigest { offset } if offset == second_block as u64),
        "{error}"
    );
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(
        read(&longer).unwrap_err(),
        IndexReadError::TrailingBytes { .. }
    ));
}

proptest! {
    #[test]
    fn an_index_resumed_at_any_point_is_as_good_as_one_written_at_once(
        clusters in btree_map(0..CLUSTERS, any::<bool>(), 0..300),
        stops in vec(0usize..300, 0..4),
    ) {
        let records: Vec<_> = clusters.iter().map(|(c, zero)| record(*c, *zero)).collect();
        let mut writer = IndexWriter::create(Vec::new(), header()).unwrap();
        for (n, item) in records.iter().enumerate() {
            if stops.contains(&n) {
                let json = serde_json::to_string(&writer.checkpoint().unwrap()).unwrap();
                // What was written after the checkpoint is lost with the process.
                let mut bytes = std::mem::take(writer.get_mut());
                bytes.extend(b"half a record");
                let checkpoint: agent_format::index::IndexCheckpoint =
                    serde_json::from_str(&json).unwrap();
                bytes.truncate(usize::try_from(checkpoint.length_bytes).unwrap());
                writer = IndexWriter::resume(bytes, header(), checkpoint).unwrap();
            }
            writer.push(*item).unwrap();
        }
        let (bytes, summary) = writer.finish().unwrap();
        let mut reader = IndexReader::open(&bytes[..]).unwrap();
        let found: Vec<_> = reader.by_ref().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(found, records);
        prop_assert_eq!(reader.summary(), Some(summary));
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(at in 0usize..2000, bit in 0u8..8) {
        let mut bytes = written(&sample(40));
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn no_truncation_goes_unnoticed(length in 0usize..2000) {
        let bytes = written(&sample(40));
        let length = length % bytes.len();
        prop_assert!(read(&bytes[..length]).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&bytes).is_err());
    }
}
