//! An index as it is, and again with digests that hold, so that what they protect is looked at too.
#![no_main]

use agent_format::index::{IndexReader, IndexWriter};
use libfuzzer_sys::fuzz_target;

const HEADER: usize = 32;
const RECORD: usize = 41;
const DIGEST: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read(&sealed(bytes));
});

fn read(bytes: &[u8]) {
    let Ok(mut reader) = IndexReader::open(bytes) else {
        return;
    };
    let Ok(records) = reader.by_ref().collect::<Result<Vec<_>, _>>() else {
        assert!(reader.summary().is_none(), "a damaged index is whole");
        return;
    };
    // Whatever is accepted is what a writer makes of the same records.
    let header = *reader.header();
    let mut writer = IndexWriter::create(Vec::new(), header).expect("a vector takes all");
    for record in &records {
        writer.push(*record).expect("the reader took it");
    }
    let (_, summary) = writer.finish().expect("a vector takes all");
    let found = reader.summary().expect("it was read to its end");
    assert_eq!(found.records, summary.records);
}

/// The same fields with the digests that they should have.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else {
        return Vec::new();
    };
    let mut out = header.to_vec();
    let mut digest = blake3::hash(header);
    while let Some((count, after)) = rest.split_first_chunk::<4>() {
        let records = u32::from_le_bytes(*count) as usize;
        let length = if records == 0 {
            8
        } else {
            records.saturating_mul(RECORD)
        };
        let Some((body, after)) = after.split_at_checked(length) else {
            break;
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(digest.as_bytes()).update(count).update(body);
        digest = hasher.finalize();
        out.extend(count);
        out.extend(body);
        out.extend(digest.as_bytes());
        rest = after.get(DIGEST..).unwrap_or_default();
    }
    out.extend(rest);
    out
}
