use std::os::unix::fs::FileExt;

use agent_blocks::Extent;
use agent_blocks::memory::MemoryDisk;
use agent_contract::{ImageCompression, ImageDigests, ImageFacts};

use super::{Report, verify_image};
use crate::transfer::JobError;
use crate::transfer::backup;
use crate::transfer::test_host::{C, Life, TestHost, backup_job, host, image, noise};

fn save(
    host: &TestHost,
    name: &str,
    since: Option<(&str, &str)>,
    bytes: &[u8],
    compression: ImageCompression,
) -> ImageFacts {
    let c = C as u64;
    let changes = [Extent::data(c, 2 * c), Extent::zero(9 * c, 3 * c)];
    let disk = MemoryDisk::new(bytes.to_vec()).with_changes("before", changes);
    let mut job = backup_job(name, bytes.len(), since);
    job.compression = compression;
    let open = || Ok(Box::new(disk.clone()) as _);
    Life::new()
        .live(host, |run| backup::run_from(run, &job, open))
        .unwrap()
}

fn verify(host: &TestHost, name: &str, facts: &ImageFacts) -> Result<Report, JobError> {
    let digests = ImageDigests {
        image_blake3: facts.image_blake3.clone(),
        index_blake3: facts.index_blake3.clone(),
    };
    Life::new().live(host, |run| {
        verify_image(run, &run.host.place(&image(name)).unwrap(), Some(&digests))
    })
}

fn flip(host: &TestHost, name: &str, offset: u64) {
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .open(host.path(name))
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

/// A full one of 40 clusters and a bit, and one that builds upon it with two of data, three of zero.
fn chain(host: &TestHost, compression: ImageCompression) -> [ImageFacts; 2] {
    let mut bytes = noise(40 * C + 700, 1);
    bytes[4 * C..9 * C].fill(0);
    let full = save(host, "w/a", None, &bytes, compression);
    bytes[C..3 * C].copy_from_slice(&noise(2 * C, 2));
    bytes[9 * C..12 * C].fill(0);
    let next = save(host, "w/b", Some(("before", "w/a")), &bytes, compression);
    [full, next]
}

#[test]
fn what_was_written_is_whole_compressed_or_not() {
    let kinds = [
        ImageCompression::None,
        ImageCompression::Zstd,
        ImageCompression::Zlib,
    ];
    for compression in kinds {
        let host = host();
        let [full, next] = chain(&host, compression);
        for (name, facts, clusters) in [("w/a", &full, 36), ("w/b", &next, 2)] {
            let report = verify(&host, name, facts).unwrap();
            assert_eq!(report.damage, [], "{name}");
            assert!(
                report.verified_bytes.div_ceil(C as u64) == clusters,
                "{name}"
            );
        }
    }
}

/// The only test that can know all of it: every byte of an image matters, or is told to be of no use.
#[test]
fn a_flipped_bit_anywhere_in_clusters_tables_or_index_is_found() {
    for compression in [ImageCompression::None, ImageCompression::Zstd] {
        let host = host();
        let [_, next] = chain(&host, compression);
        for name in ["w/b", "w/b.index"] {
            let pristine = std::fs::read(host.path(name)).unwrap();
            let step = if name == "w/b" { 499 } else { 7 };
            let mut found = 0;
            for offset in (0..pristine.len() as u64).step_by(step) {
                flip(&host, name, offset);
                let report = verify(&host, "w/b", &next).unwrap();
                found += u64::from(report.damage_count > 0);
                let is_index = name == "w/b.index";
                assert!(report.damage_count > 0 || !is_index, "{name} at {offset}");
                std::fs::write(host.path(name), &pristine).unwrap();
            }
            // Refcounts, and what a cluster of tables does not use, are of no concern to a reader.
            assert!(found > 40, "{name}: {found}");
        }
    }
}

#[test]
fn a_damaged_cluster_is_named_and_all_are_counted() {
    let host = host();
    let [full, _] = chain(&host, ImageCompression::None);
    // Header and L1 take two clusters, then the data follows, zeroes left out.
    for cluster in [0, 3, 30] {
        flip(&host, "w/a", (2 + cluster) * C as u64 + 5);
    }
    let report = verify(&host, "w/a", &full).unwrap();
    let c = C as u64;
    let offsets: Vec<_> = report
        .damage
        .iter()
        .filter_map(|damage| damage.offset)
        .collect();
    assert_eq!(offsets, [0, 3 * c, 35 * c]);
    assert_eq!(report.damage_count, 3);
    let line = format!(
        "image w/a: guest offset {}: {}",
        3 * c,
        super::NOT_AS_WRITTEN
    );
    assert_eq!(report.lines()[1], line);
}

#[test]
fn more_damage_than_can_be_named_is_counted() {
    let host = host();
    let bytes = noise(150 * C, 5);
    let facts = save(&host, "w/a", None, &bytes, ImageCompression::None);
    for cluster in 2..152 {
        flip(&host, "w/a", cluster * C as u64);
    }
    let report = verify(&host, "w/a", &facts).unwrap();
    assert_eq!((report.damage.len(), report.damage_count), (100, 150));
    assert_eq!(report.lines().last().unwrap(), "image w/a: and 50 more");
}

#[test]
fn an_image_with_another_images_index_or_none_is_damaged() {
    let host = host();
    let [full, next] = chain(&host, ImageCompression::None);
    let (a, b) = (host.path("w/a.index"), host.path("w/b.index"));
    std::fs::copy(&a, &b).unwrap();
    assert!(verify(&host, "w/b", &next).unwrap().damage_count > 0);
    let mut fitting = next.clone();
    fitting.index_blake3 = full.index_blake3;
    // The digests fit now: only the comparison of both can tell.
    let report = verify(&host, "w/b", &fitting).unwrap();
    assert!(report.damage_count >= 36, "{report:?}");
    std::fs::remove_file(&b).unwrap();
    assert_eq!(verify(&host, "w/b", &next).unwrap().damage_count, 1);
    std::fs::remove_file(host.path("w/b")).unwrap();
    assert_eq!(verify(&host, "w/b", &next).unwrap().damage_count, 1);
}

#[test]
fn an_image_that_was_cut_is_damaged() {
    let host = host();
    let [full, _] = chain(&host, ImageCompression::Zstd);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(host.path("w/a"))
        .unwrap();
    file.set_len(10 * C as u64).unwrap();
    assert!(verify(&host, "w/a", &full).unwrap().damage_count > 0);
    file.set_len(100).unwrap();
    assert_eq!(verify(&host, "w/a", &full).unwrap().damage_count, 1);
}
