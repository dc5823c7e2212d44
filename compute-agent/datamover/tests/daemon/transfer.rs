use std::fs;
use std::time::{Duration, Instant};

use agent_contract::{
    BackupJob, DiskLocation, Question, RefusalKind, RemoveJob, TransferJob, TransferOutcome,
    TransferState,
};
use nix::sys::signal::Signal;

use crate::datamover::{Datamover, backup, image, new_id, noise, restore};

const MIB: usize = 1 << 20;
/// Slow enough to be caught in the middle.
const SLOWLY: &str =
    "[transfers]\nrate_limit_bytes_per_second = 16000000\ncheckpoint_seconds = 0\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_backed_up_restored_and_removed() {
    let datamover = Datamover::start("").await;
    let mut bytes = noise(9 * MIB);
    bytes[2 * MIB..5 * MIB].fill(0);
    let disk = datamover.make_disk("a", &bytes);
    let id = new_id();
    datamover
        .begin(id, 1, backup(&disk, bytes.len(), "w/a"))
        .await
        .unwrap();
    let status = datamover.until_ended(id).await;
    assert!(
        matches!(status.state, TransferState::Done(TransferOutcome::Image(_))),
        "{status:?}"
    );
    assert_eq!(status.progress.done_bytes, status.progress.total_bytes);
    datamover.compare("w/a", "a");

    // A copy of the disk tells what changed since.
    fs::copy(datamover.path("disks/a"), datamover.path("disks/a.before")).unwrap();
    bytes[MIB + 5..MIB + 7].fill(1);
    let disk = datamover.make_disk("a", &bytes);
    let since = datamover
        .path("disks/a.before")
        .to_str()
        .unwrap()
        .to_owned();
    let TransferJob::Backup(full) = backup(&disk, bytes.len(), "w/b") else {
        unreachable!();
    };
    let job = BackupJob {
        since: Some(since),
        backing: Some(image("w/a")),
        ..full
    };
    let id = new_id();
    datamover
        .begin(id, 1, TransferJob::Backup(job))
        .await
        .unwrap();
    let status = datamover.until_ended(id).await;
    let TransferState::Done(TransferOutcome::Image(facts)) = &status.state else {
        panic!("{status:?}");
    };
    assert_eq!(facts.data_bytes, 65536);
    datamover.compare("w/b", "a");

    let other = datamover.make_disk("b", &noise(10 * MIB));
    let id = new_id();
    datamover
        .begin(id, 1, restore(&other, bytes.len(), &["w/b", "w/a"]))
        .await
        .unwrap();
    let status = datamover.until_ended(id).await;
    assert!(
        matches!(
            status.state,
            TransferState::Done(TransferOutcome::Filled { .. })
        ),
        "{status:?}"
    );
    let restored = fs::read(datamover.path("disks/b")).unwrap();
    assert!(restored[..bytes.len()] == bytes);

    for _ in 0..2 {
        let id = new_id();
        let job = TransferJob::Remove(RemoveJob {
            image: image("w/b"),
        });
        datamover.begin(id, 1, job).await.unwrap();
        let status = datamover.until_ended(id).await;
        assert_eq!(status.state, TransferState::Done(TransferOutcome::Removed));
    }
    assert!(!datamover.path("target/w/b").exists() && !datamover.path("target/w/b.index").exists());
    assert!(!datamover.log().contains(datamover.broker.password()));
    let state = fs::read_dir(datamover.path("state/transfers")).unwrap();
    let names = state.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(
        names
            .collect::<Vec<_>>()
            .iter()
            .all(|name| name.ends_with(".json"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_on_after_a_kill_without_reading_again() {
    let mut datamover = Datamover::start(SLOWLY).await;
    let bytes = noise(96 * MIB);
    let disk = datamover.make_disk("a", &bytes);
    let id = new_id();
    datamover
        .begin(id, 1, backup(&disk, bytes.len(), "w/a"))
        .await
        .unwrap();
    let half = bytes.len() as u64 / 2;
    let before = datamover
        .until(id, |status| status.progress.done_bytes >= half)
        .await;
    datamover.end(Signal::SIGKILL);
    assert!(!datamover.path("target/w/a").exists());
    datamover.start_again().await;
    let status = datamover.until_ended(id).await;
    assert!(matches!(status.state, TransferState::Done(_)), "{status:?}");
    datamover.compare("w/a", "a");
    let read_again = status.progress.read_since_start_bytes;
    // At most what lay between two checkpoints is read twice.
    let allowed = bytes.len() as u64 - before.progress.done_bytes + 4 * MIB as u64;
    assert!(
        read_again <= allowed,
        "{read_again} of {allowed}: {before:?}"
    );
    assert_eq!(status.progress.done_bytes, bytes.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_on_after_a_kill() {
    let mut datamover = Datamover::start(SLOWLY).await;
    let bytes = noise(48 * MIB);
    let (disk, other) = (
        datamover.make_disk("a", &bytes),
        datamover.make_disk("b", &noise(64 * MIB)),
    );
    let id = new_id();
    datamover
        .begin(id, 1, backup(&disk, bytes.len(), "w/a"))
        .await
        .unwrap();
    datamover.until_ended(id).await;
    let id = new_id();
    datamover
        .begin(id, 1, restore(&other, bytes.len(), &["w/a"]))
        .await
        .unwrap();
    let half = bytes.len() as u64 / 2;
    let before = datamover
        .until(id, |status| status.progress.done_bytes >= half)
        .await;
    datamover.end(Signal::SIGKILL);
    datamover.start_again().await;
    let status = datamover.until_ended(id).await;
    assert!(matches!(status.state, TransferState::Done(_)), "{status:?}");
    let restored = fs::read(datamover.path("disks/b")).unwrap();
    assert!(restored[..bytes.len()] == bytes);
    let allowed = bytes.len() as u64 - before.progress.done_bytes + 4 * MIB as u64;
    assert!(
        status.progress.read_since_start_bytes <= allowed,
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_soon_when_told_to_and_goes_on_later() {
    let mut datamover = Datamover::start(SLOWLY).await;
    let bytes = noise(64 * MIB);
    let disk = datamover.make_disk("a", &bytes);
    let id = new_id();
    datamover
        .begin(id, 1, backup(&disk, bytes.len(), "w/a"))
        .await
        .unwrap();
    datamover
        .until(id, |status| status.progress.done_bytes > 8 * MIB as u64)
        .await;
    let began = Instant::now();
    assert!(datamover.end(Signal::SIGTERM).success());
    assert!(began.elapsed() < Duration::from_secs(5));
    datamover.start_again().await;
    let status = datamover.until_ended(id).await;
    assert!(matches!(status.state, TransferState::Done(_)), "{status:?}");
    assert!(status.progress.read_since_start_bytes < bytes.len() as u64 - 7 * MIB as u64);
    datamover.compare("w/a", "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_is_asking_once_and_an_older_claim_is_refused() {
    let datamover = Datamover::start(SLOWLY).await;
    let bytes = noise(32 * MIB);
    let disk = datamover.make_disk("a", &bytes);
    let (id, job) = (new_id(), backup(&disk, bytes.len(), "w/a"));
    datamover.begin(id, 5, job.clone()).await.unwrap();
    let same = datamover.begin(id, 5, job.clone()).await.unwrap();
    assert_eq!((same.id, same.epoch), (id, 5));
    let kind = |result: Result<_, agent_contract::Refusal>| result.map(|_: _| ()).unwrap_err().kind;
    let other = backup(&disk, bytes.len(), "w/other");
    assert_eq!(
        kind(datamover.begin(id, 5, other).await),
        RefusalKind::Conflict
    );
    assert_eq!(
        kind(datamover.begin(id, 4, job.clone()).await),
        RefusalKind::Fenced
    );
    let newer = datamover.begin(id, 6, job.clone()).await.unwrap();
    assert_eq!(newer.epoch, 6);
    assert_eq!(
        kind(datamover.begin(id, 5, job.clone()).await),
        RefusalKind::Fenced
    );
    let cancel = |epoch| datamover.ask_transfer(Question::TransferCancel { id, epoch });
    assert_eq!(kind(cancel(5).await), RefusalKind::Fenced);
    assert_eq!(cancel(6).await.unwrap().state, TransferState::Cancelled);
    assert_eq!(cancel(6).await.unwrap().state, TransferState::Cancelled);
    // Nothing is left on the target, not even a folder.
    assert!(!datamover.path("target/w").exists());
    let unknown = Question::TransferCancel {
        id: new_id(),
        epoch: 1,
    };
    assert_eq!(
        kind(datamover.ask_transfer(unknown).await),
        RefusalKind::NotFound
    );
    // Whoever claims it anew may begin it anew.
    let again = datamover.begin(id, 6, job.clone()).await.unwrap();
    assert_eq!(again.state, TransferState::Cancelled);
    datamover.begin(id, 7, job).await.unwrap();
    datamover.until_ended(id).await;
    datamover.compare("w/a", "a");
    // What was made and is not wanted goes too.
    let dropped = datamover
        .ask_transfer(Question::TransferCancel { id, epoch: 7 })
        .await
        .unwrap();
    assert_eq!(dropped.state, TransferState::Cancelled);
    assert!(!datamover.path("target/w").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_lead_where_they_must_not_are_refused() {
    let datamover = Datamover::start("").await;
    let disk = datamover.make_disk("a", &noise(MIB));
    std::os::unix::fs::symlink("/etc/passwd", datamover.path("disks/link")).unwrap();
    let raw = |path: &str| DiskLocation::Raw {
        path: path.to_owned(),
    };
    let outside = datamover.path("disks/../log");
    let link = datamover.path("disks/link");
    let mut jobs = vec![
        backup(&raw("/etc/passwd"), MIB, "w/a"),
        backup(&raw(outside.to_str().unwrap()), MIB, "w/a"),
        backup(&raw(link.to_str().unwrap()), MIB, "w/a"),
        backup(&disk, MIB, "../a"),
        backup(&disk, 0, "w/a"),
        restore(&raw("/etc/passwd"), MIB, &["w/a"]),
        restore(&disk, MIB, &[]),
    ];
    let TransferJob::Backup(job) = backup(&disk, MIB, "w/a") else {
        unreachable!();
    };
    let mut elsewhere = job.clone();
    elsewhere.image.target = "other".into();
    jobs.push(TransferJob::Backup(elsewhere));
    let since = Some("/etc/passwd".to_owned());
    jobs.push(TransferJob::Backup(BackupJob {
        since: since.clone(),
        ..job.clone()
    }));
    let backing = Some(image("w/0"));
    jobs.push(TransferJob::Backup(BackupJob {
        since,
        backing,
        ..job
    }));
    for job in jobs {
        let refusal = datamover.begin(new_id(), 1, job.clone()).await.unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Invalid, "{job:?}: {refusal}");
    }
}
