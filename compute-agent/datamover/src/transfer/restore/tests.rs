use std::os::unix::fs::FileExt;

use agent_blocks::Extent;
use agent_blocks::memory::MemoryDisk;
use agent_contract::{DiskLocation, ImageDigests, RestoreJob, TransferOutcome};
use agent_format::Digest;
use agent_qcow2::Header;

use super::fill;
use crate::transfer::JobError;
use crate::transfer::backup;
use crate::transfer::reading::read_trailer;
use crate::transfer::test_host::{C, Life, TestHost, backup_job, host, image, noise};
use crate::transfer::ticket::Interrupted;

/// A full backup `w/a` and two incrementals on a disk that grew once.
pub(super) fn chain(host: &TestHost) -> Vec<u8> {
    let c = C as u64;
    let mut bytes = noise(40 * C + 700, 1);
    bytes[4 * C..9 * C].fill(0);
    let save = |name: &str, since: Option<(&str, &str)>, bytes: &[u8], changes: Vec<Extent>| {
        let disk = MemoryDisk::new(bytes.to_vec()).with_changes("before", changes);
        let job = backup_job(name, bytes.len(), since);
        Life::new()
            .live(host, |run| {
                backup::run_from(run, &job, || Ok(Box::new(disk.clone())))
            })
            .unwrap();
    };
    save("w/a", None, &bytes, vec![]);
    bytes[C..2 * C].fill(7);
    bytes[20 * C..23 * C].fill(0);
    let changes = vec![Extent::data(c, c), Extent::zero(20 * c, 3 * c)];
    save("w/b", Some(("before", "w/a")), &bytes, changes);
    let old = bytes.len();
    bytes.resize(800 * C + 33, 0);
    bytes[100 * C..760 * C].copy_from_slice(&noise(660 * C, 4));
    bytes[21 * C..22 * C].copy_from_slice(&noise(C, 2));
    bytes[50 * C..51 * C].copy_from_slice(&noise(C, 3));
    let changes = vec![
        Extent::data(21 * c, c),
        Extent::data(50 * c, c),
        Extent::data(100 * c, 660 * c),
    ];
    save("w/c", Some(("before", "w/b")), &bytes, changes);
    assert!(bytes.len() > old);
    bytes
}

pub(super) fn job(size_bytes: usize, is_destination_zeroed: bool) -> RestoreJob {
    RestoreJob {
        chain: ["w/c", "w/b", "w/a"].map(image).to_vec(),
        size_bytes: size_bytes as u64,
        destination: DiskLocation::Raw {
            path: "/not/opened".into(),
        },
        is_destination_zeroed,
        digests: Vec::new(),
    }
}

fn restore(
    host: &TestHost,
    life: &Life,
    job: &RestoreJob,
    disk: &MemoryDisk,
) -> Result<TransferOutcome, JobError> {
    life.live(host, |run| fill(run, job, disk))
}

#[test]
fn the_disk_comes_back_on_a_larger_volume_full_of_other_bytes() {
    let host = host();
    let bytes = chain(&host);
    let disk = MemoryDisk::new(vec![0xaa; bytes.len() + 3 * C]);
    let outcome = restore(&host, &Life::new(), &job(bytes.len(), false), &disk).unwrap();
    let restored = disk.bytes();
    assert!(restored[..bytes.len()] == bytes);
    assert!(restored[bytes.len()..].iter().all(|byte| *byte == 0xaa));
    assert!(disk.flushes() > 0);
    assert!(matches!(outcome, TransferOutcome::Filled { written_bytes } if written_bytes > 0));
}

#[test]
fn zeroes_are_not_written_to_a_volume_that_is_new() {
    let host = host();
    let bytes = chain(&host);
    let disk = MemoryDisk::new(vec![0; bytes.len()]);
    restore(&host, &Life::new(), &job(bytes.len(), true), &disk).unwrap();
    assert!(disk.bytes() == bytes);
}

#[test]
fn an_interrupted_restore_goes_on_where_it_was_flushed() {
    let host = host();
    let bytes = chain(&host);
    let disk = MemoryDisk::new(vec![0xaa; bytes.len()]);
    let mut life = Life::new();
    for stop_at in 1..=4 {
        life.at_checkpoint = Box::new(move |count, ticket| {
            if count == stop_at {
                ticket.interrupt(Interrupted::Stopping);
            }
        });
        let error = restore(&host, &life, &job(bytes.len(), false), &disk).unwrap_err();
        assert!(matches!(error, JobError::Interrupted(_)), "{error}");
    }
    life.at_checkpoint = Box::new(|_, _| {});
    restore(&host, &life, &job(bytes.len(), false), &disk).unwrap();
    assert!(disk.bytes() == bytes);
    // Done already: nothing is done again, and the same is said.
    restore(&host, &life, &job(bytes.len(), false), &disk).unwrap();
}

#[test]
fn a_damaged_cluster_stops_the_restore_and_names_image_and_offset() {
    let host = host();
    let bytes = chain(&host);
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(host.path("w/b"))
        .unwrap();
    let length = file.metadata().unwrap().len();
    // The one data cluster of w/b is guest cluster 1.
    let at = (0..length / 65536)
        .map(|n| n * 65536)
        .find(|at| {
            let mut cluster = vec![0; C];
            file.read_exact_at(&mut cluster, *at).unwrap();
            cluster.iter().all(|byte| *byte == 7)
        })
        .unwrap();
    file.write_all_at(&[8], at + 777).unwrap();
    let disk = MemoryDisk::new(vec![0; bytes.len()]);
    let error = restore(&host, &Life::new(), &job(bytes.len(), true), &disk).unwrap_err();
    let JobError::Damaged { image, offset, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((image.as_str(), *offset), ("w/b", C as u64));
    assert!(disk.bytes()[C..2 * C].iter().all(|byte| *byte == 0));
}

#[test]
fn an_image_with_another_images_index_is_damaged() {
    let host = host();
    let bytes = chain(&host);
    std::fs::copy(host.path("w/c.index"), host.path("w/b.index")).unwrap();
    let disk = MemoryDisk::new(vec![0; bytes.len()]);
    let error = restore(&host, &Life::new(), &job(bytes.len(), true), &disk).unwrap_err();
    assert!(matches!(error, JobError::Damaged { .. }), "{error}");
}

#[test]
fn images_that_are_no_chain_are_refused() {
    let host = host();
    let bytes = chain(&host);
    let disk = MemoryDisk::new(vec![0; bytes.len()]);
    let mut wrong = job(bytes.len(), true);
    wrong.chain = ["w/c", "w/a"].map(image).to_vec();
    let error = restore(&host, &Life::new(), &wrong, &disk).unwrap_err();
    assert!(matches!(error, JobError::Refused(_)), "{error}");
    wrong.chain = ["w/c", "w/b"].map(image).to_vec();
    let error = restore(&host, &Life::new(), &wrong, &disk).unwrap_err();
    assert!(matches!(error, JobError::Chain(_)), "{error}");
    let small = MemoryDisk::new(vec![0; bytes.len() - 1]);
    let error = restore(&host, &Life::new(), &job(bytes.len(), true), &small).unwrap_err();
    assert!(matches!(error, JobError::Size { .. }), "{error}");
}

fn digests(host: &TestHost, job: &RestoreJob) -> Vec<ImageDigests> {
    let digests = job.chain.iter().map(|image| {
        let place = host.host.place(image).unwrap();
        let data = place.target.open_image(&place.image).unwrap();
        let head = Header::read(&data).unwrap().head_bytes();
        let mut bytes = vec![0; usize::try_from(head).unwrap()];
        data.read_exact_at(&mut bytes, 0).unwrap();
        ImageDigests {
            image_blake3: Digest::of(&bytes).to_string(),
            index_blake3: read_trailer(&place).unwrap().digest.to_string(),
        }
    });
    digests.collect()
}

#[test]
fn images_are_compared_with_their_manifests_before_a_byte_is_written() {
    let host = host();
    let bytes = chain(&host);
    let mut job = job(bytes.len(), true);
    job.digests = digests(&host, &job);
    let disk = MemoryDisk::new(vec![0; bytes.len()]);
    restore(&host, &Life::new(), &job, &disk).unwrap();
    assert!(disk.bytes() == bytes);

    let right = job.digests.clone();
    let wrong = Digest::of(b"another").to_string();
    let disk = MemoryDisk::new(vec![0; bytes.len()]);
    for of_index in [false, true] {
        job.digests = right.clone();
        let digests = &mut job.digests[1];
        if of_index {
            digests.index_blake3 = wrong.clone();
        } else {
            digests.image_blake3 = wrong.clone();
        }
        let error = restore(&host, &Life::new(), &job, &disk).unwrap_err();
        let JobError::Damaged { image, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(image, "w/b");
    }
    job.digests = right[1..].to_vec();
    let error = restore(&host, &Life::new(), &job, &disk).unwrap_err();
    assert!(matches!(error, JobError::Refused(_)), "{error}");
    assert!(disk.bytes().iter().all(|byte| *byte == 0));
}

#[test]
fn a_volume_that_fails_in_the_middle_is_gone_on_with_where_it_was_flushed() {
    let host = host();
    let bytes = chain(&host);
    let life = Life::new();
    let bad = MemoryDisk::new(vec![0xaa; bytes.len()]).failing_at(300 * C as u64);
    let error = restore(&host, &life, &job(bytes.len(), false), &bad).unwrap_err();
    assert!(matches!(error, JobError::Disk { .. }), "{error}");
    let flushed = bad.bytes();
    let good = MemoryDisk::new(flushed);
    restore(&host, &life, &job(bytes.len(), false), &good).unwrap();
    assert!(good.bytes() == bytes);
}

#[test]
fn a_full_set_of_clusters_needs_no_index_of_the_images_below() {
    let host = host();
    let bytes = noise(30 * C, 1);
    let disk = MemoryDisk::new(bytes.clone());
    let back_up = |name: &str, parent: Option<&str>| {
        let mut job = backup_job(name, bytes.len(), None);
        job.backing = parent.map(image);
        let run_it = |run: &crate::transfer::Run<'_>| {
            backup::run_from(run, &job, || Ok(Box::new(disk.clone())))
        };
        Life::new().live(&host, run_it).unwrap()
    };
    back_up("w/a", None);
    std::fs::remove_file(host.path("w/a.index")).unwrap();
    let facts = back_up("w/b", Some("w/a"));
    assert_eq!(facts.data_bytes, bytes.len() as u64);
    let mut job = job(bytes.len(), true);
    job.chain = ["w/b", "w/a"].map(image).to_vec();
    let disk = MemoryDisk::new(vec![0; bytes.len()]);
    restore(&host, &Life::new(), &job, &disk).unwrap();
    assert!(disk.bytes() == bytes);
}
