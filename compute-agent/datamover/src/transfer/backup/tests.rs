use std::process::Command;
use std::sync::Arc;

use agent_blocks::Extent;
use agent_blocks::memory::MemoryDisk;
use agent_contract::ImageFacts;
use agent_target::{DirectoryTarget, ErrorKind, Fault, FaultyTarget, Operation};

use super::run_from;
use crate::transfer::JobError;
use crate::transfer::test_host::{C, Life, TestHost, backup_job, host, host_with, noise};
use crate::transfer::ticket::Interrupted;

pub(super) fn back_up(
    host: &TestHost,
    life: &Life,
    job: &agent_contract::BackupJob,
    disk: &MemoryDisk,
) -> Result<ImageFacts, JobError> {
    life.live(host, |run| {
        run_from(run, job, || Ok(Box::new(disk.clone())))
    })
}

fn qemu_img(arguments: &[&str]) {
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "qemu-img {arguments:?}: {output:?}"
    );
}

pub(super) fn check_against(host: &TestHost, name: &str, bytes: &[u8]) {
    let raw = host.folder.path().join("expected");
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    std::fs::write(&raw, bytes).unwrap();
    let image = host.path(name);
    let (raw, image) = (raw.to_str().unwrap(), image.to_str().unwrap());
    qemu_img(&["check", "-q", image]);
    qemu_img(&["compare", "-q", "-f", "qcow2", "-F", "raw", image, raw]);
}

#[test]
fn a_full_backup_holds_the_disk_and_leaves_zeroes_out() {
    let host = host();
    let mut bytes = noise(20 * C + 700, 1);
    bytes[3 * C..6 * C].fill(0);
    let disk = MemoryDisk::new(bytes.clone());
    let facts = back_up(
        &host,
        &Life::new(),
        &backup_job("w/a", bytes.len(), None),
        &disk,
    )
    .unwrap();
    check_against(&host, "w/a", &bytes);
    assert_eq!((facts.data_bytes, facts.zero_bytes), (18 * C as u64, 0));
    let length = |name: &str| std::fs::metadata(host.path(name)).unwrap().len();
    assert_eq!(facts.image_size_bytes, length("w/a"));
    assert_eq!(facts.index_size_bytes, length("w/a.index"));
    assert_eq!(
        facts.virtual_size_bytes,
        bytes.len().next_multiple_of(512) as u64
    );
}

#[test]
fn an_incremental_holds_the_changed_clusters_and_no_more() {
    let host = host();
    let mut bytes = noise(20 * C, 1);
    let disk = MemoryDisk::new(bytes.clone());
    back_up(
        &host,
        &Life::new(),
        &backup_job("w/a", bytes.len(), None),
        &disk,
    )
    .unwrap();
    // Two clusters touched, two discarded, one of which only in part; one written with zeroes.
    bytes[2 * C + 100..3 * C + 100].fill(9);
    bytes[7 * C..8 * C + 50].fill(0);
    bytes[10 * C..11 * C].fill(0);
    let disk = MemoryDisk::new(bytes.clone()).with_changes(
        "one",
        [
            Extent::data(2 * C as u64 + 100, C as u64),
            Extent::zero(7 * C as u64, C as u64 + 50),
            Extent::data(10 * C as u64, C as u64),
        ],
    );
    let job = backup_job("w/b", bytes.len(), Some(("one", "w/a")));
    let facts = back_up(&host, &Life::new(), &job, &disk).unwrap();
    check_against(&host, "w/b", &bytes);
    assert_eq!(
        (facts.data_bytes, facts.zero_bytes),
        (3 * C as u64, 2 * C as u64)
    );
    assert_eq!(disk.read_bytes(), 4 * C as u64);
}

#[test]
fn a_missing_earlier_snapshot_is_said_and_all_is_compared_instead() {
    let host = host();
    let mut bytes = noise(20 * C + 700, 1);
    bytes[3 * C..6 * C].fill(0);
    let full = backup_job("w/a", bytes.len(), None);
    back_up(&host, &Life::new(), &full, &MemoryDisk::new(bytes.clone())).unwrap();
    bytes[2 * C + 5] ^= 1;
    bytes[4 * C] = 1;
    bytes[8 * C..10 * C].fill(0);
    // What became zero is not even allocated any more.
    let c = C as u64;
    let disk = MemoryDisk::new(bytes.clone())
        .with_allocated([Extent::data(0, 8 * c), Extent::data(10 * c, 10 * c + 700)]);
    let job = backup_job("w/b", bytes.len(), Some(("gone", "w/a")));
    let facts = back_up(&host, &Life::new(), &job, &disk).unwrap();
    check_against(&host, "w/b", &bytes);
    assert_eq!((facts.data_bytes, facts.zero_bytes), (2 * c, 2 * c));
    let [warning] = facts.warnings.as_slice() else {
        panic!("{:?}", facts.warnings);
    };
    assert!(warning.contains("gone"), "{warning}");
}

#[test]
fn an_interrupted_backup_goes_on_without_reading_again() {
    let host = host();
    let bytes = noise(64 * C + 5, 3);
    let disk = MemoryDisk::new(bytes.clone());
    let job = backup_job("w/a", bytes.len(), None);
    let mut life = Life::new();
    life.at_checkpoint = Box::new(|count, ticket| {
        if count == 1 {
            ticket.interrupt(Interrupted::Stopping);
        }
    });
    let error = back_up(&host, &life, &job, &disk).unwrap_err();
    assert!(
        matches!(error, JobError::Interrupted(Interrupted::Stopping)),
        "{error}"
    );
    let read_before = disk.read_bytes();
    life.at_checkpoint = Box::new(|_, _| {});
    back_up(&host, &life, &job, &disk).unwrap();
    check_against(&host, "w/a", &bytes);
    // At most what was in flight when it stopped is read twice.
    let again = disk.read_bytes() + read_before - bytes.len() as u64;
    assert!(disk.read_bytes() < 2 * bytes.len() as u64 && again > 0);
}

#[test]
fn a_backup_that_was_read_is_completed_whatever_was_complete_before() {
    let bytes = noise(10 * C, 4);
    let job = backup_job("w/a", bytes.len(), None);
    // Completing the index fails, then completing the image, then nothing after both.
    for fault in 1..=3 {
        let host = host();
        let disk = MemoryDisk::new(bytes.clone());
        let life = Life::new();
        let expected = back_up(&host, &life, &job, &disk).unwrap();
        let (image, index) = (host.path("w/a"), host.path("w/a.index"));
        let unfinish = |path: &std::path::Path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            std::fs::rename(path, path.with_file_name(format!(".{name}.partial"))).unwrap();
        };
        if fault <= 2 {
            unfinish(&image);
        }
        if fault == 1 {
            unfinish(&index);
        }
        let read = disk.read_bytes();
        let again = back_up(&host, &life, &job, &disk).unwrap();
        assert_eq!(again, expected, "{fault}");
        assert_eq!(disk.read_bytes(), read);
        check_against(&host, "w/a", &bytes);
    }
}

#[test]
fn a_lost_unfinished_image_is_begun_again() {
    let host = host();
    let bytes = noise(40 * C, 5);
    let disk = MemoryDisk::new(bytes.clone());
    let job = backup_job("w/a", bytes.len(), None);
    let mut life = Life::new();
    life.at_checkpoint = Box::new(|_, ticket| ticket.interrupt(Interrupted::Stopping));
    back_up(&host, &life, &job, &disk).unwrap_err();
    std::fs::remove_file(host.path("w/.a.partial")).unwrap();
    life.at_checkpoint = Box::new(|_, _| {});
    back_up(&host, &life, &job, &disk).unwrap();
    check_against(&host, "w/a", &bytes);
}

#[test]
fn a_target_that_fails_anywhere_leaves_no_image_and_is_used_again_later() {
    let bytes = noise(10 * C, 6);
    let job = backup_job("w/a", bytes.len(), None);
    for operation in [
        Operation::CreateImage,
        Operation::Append,
        Operation::Sync,
        Operation::Finish,
    ] {
        for call in 1..=2 {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("target");
            std::fs::create_dir(&root).unwrap();
            let real = DirectoryTarget::initialise(root).unwrap();
            let fault = Fault {
                operation: Some(operation),
                call,
                kind: ErrorKind::Unavailable,
                is_lasting: false,
            };
            let host = host_with(folder, Arc::new(FaultyTarget::new(real, fault)));
            let (disk, life) = (MemoryDisk::new(bytes.clone()), Life::new());
            let error = back_up(&host, &life, &job, &disk).unwrap_err();
            let state = error.to_state();
            let agent_contract::TransferState::Failed {
                is_transient,
                tenant_message,
                ..
            } = state
            else {
                panic!("{state:?}");
            };
            assert!(is_transient, "{operation:?} {call}");
            assert_eq!(tenant_message, "The backup target is not available.");
            assert!(!host.path("w/a").exists());
            back_up(&host, &life, &job, &disk).unwrap();
            check_against(&host, "w/a", &bytes);
        }
    }
}

#[test]
fn a_disk_of_another_size_is_refused() {
    let host = host();
    let disk = MemoryDisk::new(noise(2 * C, 1));
    let error = back_up(&host, &Life::new(), &backup_job("w/a", C, None), &disk).unwrap_err();
    assert!(matches!(error, JobError::Size { .. }), "{error}");
}

#[test]
fn a_disk_that_fails_in_the_middle_is_gone_on_with_where_it_failed() {
    let host = host();
    let bytes = noise(400 * C, 8);
    let job = backup_job("w/a", bytes.len(), None);
    let life = Life::new();
    let bad = MemoryDisk::new(bytes.clone()).failing_at(200 * C as u64);
    let error = back_up(&host, &life, &job, &bad).unwrap_err();
    assert!(matches!(error, JobError::Disk { .. }), "{error}");
    let good = MemoryDisk::new(bytes.clone());
    back_up(&host, &life, &job, &good).unwrap();
    check_against(&host, "w/a", &bytes);
    // All before the batch that failed is kept.
    let read = good.read_bytes();
    assert!(read <= (200 + 32) * C as u64 + 4096, "{read}");
}
