//! Points of guests of the lab's libvirt.

use std::fs;
use std::time::{Duration, Instant};

use agent_contract::{
    Answer, BackupJob, DiskLocation, DiskRole, DiskStorage, ImageCompression, ImageFacts,
    PointDisk, PointEnd, PointId, PointRequest, PointStatus, Question, Refusal, RefusalKind,
    ServerDisks, TakenDisk, TransferJob, TransferOutcome, TransferState, TransferStatus,
};
use nix::sys::signal::Signal;
use uuid::Uuid;

use crate::datamover::{Datamover, LIMIT, image, new_id};
use crate::guest::{DISKS, Guest, MIB, run};

const POINTS: &str = "[points]\npath = {path}/points\nscratch_min_free_bytes = 1000000\n";

struct Host {
    datamover: Datamover,
    guest: Guest,
}

fn new_point() -> PointId {
    PointId(Uuid::new_v4())
}

impl Host {
    async fn new(more: &str) -> Self {
        let datamover = Datamover::start_as_nova(&format!("{POINTS}{more}")).await;
        let guest = Guest::define(&datamover.path("guest"), &datamover.path("disks"));
        Self { datamover, guest }
    }

    async fn ask_point(&self, question: Question) -> Result<PointStatus, Refusal> {
        match self.datamover.ask(question).await {
            Answer::Point(status) => Ok(status),
            Answer::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    fn request(&self, since: Option<&PointStatus>) -> PointRequest {
        let disk = |(device, _): (&str, &str)| PointDisk {
            device: device.to_owned(),
            since: since.and_then(|since| taken(since, device).mark.clone()),
        };
        PointRequest {
            epoch: 5,
            server_id: self.guest.id,
            disks: DISKS.into_iter().map(disk).collect(),
        }
    }

    async fn try_take(
        &self,
        id: PointId,
        since: Option<&PointStatus>,
    ) -> Result<PointStatus, Refusal> {
        let request = self.request(since);
        self.ask_point(Question::PointTake { id, request }).await
    }

    async fn take(&self, since: Option<&PointStatus>) -> PointStatus {
        self.try_take(new_point(), since).await.unwrap()
    }

    async fn end(&self, id: PointId, keep_marks: bool) {
        let end = PointEnd {
            epoch: 5,
            keep_marks,
        };
        let answer = self.datamover.ask(Question::PointEnd { id, end }).await;
        assert_eq!(answer, Answer::Done);
        assert!(!self.guest.has_backup_job());
        self.assert_nothing_left();
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.guest.checkpoints(), "");
        let points = fs::read_dir(self.datamover.path("points"));
        assert_eq!(points.map_or(0, Iterator::count), 0);
    }

    fn job(
        point: &PointStatus,
        device: &str,
        name: &str,
        since: Option<(&PointStatus, &str)>,
    ) -> TransferJob {
        let mark = since.and_then(|(since, _)| taken(since, device).mark.clone());
        TransferJob::Backup(BackupJob {
            source: DiskLocation::Point {
                point: point.id,
                device: device.to_owned(),
            },
            size_bytes: taken(point, device).size_bytes,
            since: mark,
            image: image(&format!("{name}-{device}")),
            backing: since.map(|(_, parent)| image(&format!("{parent}-{device}"))),
            compression: ImageCompression::None,
        })
    }

    async fn transfer(&self, job: TransferJob) -> TransferStatus {
        let id = new_id();
        self.datamover.begin(id, 1, job).await.unwrap();
        self.datamover.until_ended(id).await
    }

    /// All disks, compared with their models as they were kept under the image's name.
    async fn back_up(
        &self,
        point: &PointStatus,
        name: &str,
        since: Option<(&PointStatus, &str)>,
    ) -> Vec<ImageFacts> {
        let mut all = Vec::new();
        for (device, _) in DISKS {
            let status = self.transfer(Self::job(point, device, name, since)).await;
            let TransferState::Done(TransferOutcome::Image(facts)) = status.state else {
                panic!("{device}: {status:?}");
            };
            let name = format!("{name}-{device}");
            self.datamover.compare(&name, &name);
            all.push(facts);
        }
        all
    }

    fn keep_models(&self, name: &str) {
        for (device, _) in DISKS {
            self.guest.keep_model(device, &format!("{name}-{device}"));
        }
    }
}

fn taken<'a>(point: &'a PointStatus, device: &str) -> &'a TakenDisk {
    let found = point.disks.iter().find(|disk| disk.device == device);
    found.unwrap()
}

fn mark(point: PointId) -> String {
    format!("backstay-{point}")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn the_disks_of_a_server_are_told() {
    let host = Host::new("").await;
    let server_id = host.guest.id;
    for is_running in [false, true] {
        if is_running {
            host.guest.start();
        }
        let answer = host
            .datamover
            .ask(Question::ServerDisks { server_id })
            .await;
        let Answer::ServerDisks(ServerDisks {
            is_running: is,
            disks,
        }) = answer
        else {
            panic!("{answer:?}");
        };
        assert_eq!(is, is_running);
        let told: Vec<_> = disks
            .iter()
            .map(|disk| (disk.device.as_str(), disk.role, disk.storage))
            .collect();
        let expected = [
            ("vda", DiskRole::Root, DiskStorage::Qcow2File),
            (
                "vdb",
                DiskRole::Ephemeral { number: 0 },
                DiskStorage::Qcow2File,
            ),
            ("vdc", DiskRole::Swap, DiskStorage::RawFile),
        ];
        assert_eq!(told, expected);
        assert!(disks.iter().all(|disk| disk.size_bytes == 64 * MIB));
    }
    let server_id = Uuid::new_v4();
    let unknown = host
        .datamover
        .ask(Question::ServerDisks { server_id })
        .await;
    let Answer::Refused(refusal) = unknown else {
        panic!("{unknown:?}");
    };
    assert_eq!(refusal.kind, RefusalKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_running_guest_is_backed_up_fully_and_incrementally_while_it_writes() {
    let host = Host::new("").await;
    let guest = &host.guest;
    guest.start();
    guest.write("vda", 1, 5 * MIB, MIB);
    guest.write("vdb", 2, 0, 3 * MIB);
    guest.write("vdc", 3, 60 * MIB, MIB);
    host.keep_models("one");
    let one = host.take(None).await;
    assert!(one.disks.iter().all(|disk| disk.changes_unknown.is_none()));
    assert_eq!(taken(&one, "vda").mark, Some(mark(one.id)));
    assert_eq!(taken(&one, "vdc").mark, None);
    assert_eq!(guest.checkpoints(), "");
    // Not part of the point.
    guest.write("vda", 4, 5 * MIB + 1000, 200_000);
    guest.write("vdb", 5, 40 * MIB, MIB);
    guest.write("vdc", 6, 60 * MIB, MIB);
    let facts = host.back_up(&one, "one", None).await;
    assert!(facts[0].data_bytes <= 3 * MIB, "{facts:?}");
    host.end(one.id, true).await;

    guest.write("vda", 7, 30 * MIB, 70_000);
    guest.io_both("vdb", &format!("discard {MIB} {MIB}"));
    host.keep_models("two");
    let two = host.take(Some(&one)).await;
    assert_eq!(taken(&two, "vda").changes_unknown, None);
    guest.write("vda", 8, 0, 10 * MIB);
    let facts = host.back_up(&two, "two", Some((&one, "one"))).await;
    assert!(facts[0].data_bytes <= 8 * 65536, "{facts:?}");
    host.end(two.id, true).await;
    let expected = [mark(two.id), mark(two.id)];
    assert_eq!(guest.bitmaps(), expected);

    // A point that is dropped takes its marks along; the earlier ones know of all since theirs.
    let three = host.take(Some(&two)).await;
    guest.write("vdb", 9, 20 * MIB, MIB);
    host.end(three.id, false).await;
    assert_eq!(guest.bitmaps(), expected);
    guest.write("vda", 10, 50 * MIB, MIB);
    host.keep_models("four");
    let four = host.take(Some(&two)).await;
    host.back_up(&four, "four", Some((&two, "two"))).await;
    host.end(four.id, true).await;

    // A full one in between leaves no bitmap behind.
    let five = host.take(None).await;
    host.end(five.id, true).await;
    assert_eq!(guest.bitmaps(), [mark(five.id), mark(five.id)]);
    guest.stop();
    guest.undefine();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn lost_records_of_changes_are_told_and_replaced() {
    let host = Host::new("").await;
    let guest = &host.guest;
    guest.start();
    let one = host.take(None).await;
    host.end(one.id, true).await;
    guest.crash();
    guest.start();
    let two = host.take(Some(&one)).await;
    for device in ["vda", "vdb"] {
        let disk = taken(&two, device);
        assert!(disk.changes_unknown.is_some(), "{disk:?}");
        assert_eq!(disk.mark, Some(mark(two.id)));
    }
    host.keep_models("two");
    host.back_up(&two, "two", None).await;
    host.end(two.id, true).await;
    assert_eq!(guest.bitmaps(), [mark(two.id), mark(two.id)]);
    // Rebuilt.
    guest.stop();
    guest.make_disks();
    guest.start();
    let three = host.take(Some(&two)).await;
    assert!(taken(&three, "vda").changes_unknown.is_some());
    host.end(three.id, true).await;
    assert_eq!(guest.bitmaps(), [mark(three.id), mark(three.id)]);
    // Also while it is stopped.
    guest.crash();
    let four = host.take(Some(&three)).await;
    assert!(taken(&four, "vda").changes_unknown.is_some());
    assert_eq!(taken(&four, "vda").mark, None);
    host.end(four.id, true).await;
    guest.undefine();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_stopped_guest_is_read_from_its_files_and_their_bitmaps() {
    let host = Host::new("").await;
    let guest = &host.guest;
    guest.start();
    guest.write("vda", 1, 5 * MIB, MIB);
    host.keep_models("one");
    let one = host.take(None).await;
    host.back_up(&one, "one", None).await;
    host.end(one.id, true).await;
    guest.write("vda", 2, 9 * MIB, 100_000);
    guest.stop();
    host.keep_models("two");
    let two = host.take(Some(&one)).await;
    assert_eq!(taken(&two, "vda").changes_unknown, None);
    assert_eq!(taken(&two, "vda").mark, Some(mark(one.id)));
    let facts = host.back_up(&two, "two", Some((&one, "one"))).await;
    assert!(facts[0].data_bytes <= 3 * 65536, "{facts:?}");
    host.end(two.id, true).await;
    // The record goes on when the guest runs again.
    guest.start();
    guest.write("vda", 3, 40 * MIB, 100_000);
    host.keep_models("three");
    let three = host.take(Some(&two)).await;
    assert_eq!(taken(&three, "vda").changes_unknown, None);
    host.back_up(&three, "three", Some((&two, "two"))).await;
    host.end(three.id, true).await;
    assert_eq!(guest.bitmaps(), [mark(three.id), mark(three.id)]);
    guest.stop();
    guest.undefine();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_guest_that_is_started_while_its_files_are_read_starts_and_nothing_is_published() {
    let host = Host::new("[transfers]\nrate_limit_bytes_per_second = 8000000\n").await;
    let guest = &host.guest;
    for (device, _) in DISKS {
        guest.write(device, 1, 0, 30 * MIB);
    }
    for device in ["vda", "vdc"] {
        for is_stopped_again in [false, true] {
            let point = host.take(None).await;
            let id = new_id();
            let name = format!("torn-{is_stopped_again}");
            let job = Host::job(&point, device, &name, None);
            host.datamover.begin(id, 1, job).await.unwrap();
            let has_begun = |status: &TransferStatus| status.progress.done_bytes > MIB;
            host.datamover.until(id, has_begun).await;
            guest.start();
            guest.write(device, 2, 29 * MIB, MIB);
            if is_stopped_again {
                guest.stop();
            }
            let status = host.datamover.until_ended(id).await;
            let is_transient = matches!(
                status.state,
                TransferState::Failed {
                    is_transient: true,
                    ..
                }
            );
            assert!(is_transient, "{status:?}");
            let image = format!("target/{name}-{device}");
            assert!(!host.datamover.path(&image).exists());
            host.end(point.id, false).await;
            if !is_stopped_again {
                guest.stop();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_guest_that_stops_in_mid_backup_fails_it_for_a_while_only() {
    let host = Host::new("[transfers]\nrate_limit_bytes_per_second = 8000000\n").await;
    let guest = &host.guest;
    guest.start();
    guest.write("vda", 1, 0, 40 * MIB);
    let one = host.take(None).await;
    let id = new_id();
    let job = Host::job(&one, "vda", "one", None);
    host.datamover.begin(id, 1, job.clone()).await.unwrap();
    let has_begun = |status: &TransferStatus| status.progress.done_bytes > MIB;
    host.datamover.until(id, has_begun).await;
    guest.stop();
    let assert_transient = |status: &TransferStatus| {
        let TransferState::Failed { is_transient, .. } = &status.state else {
            panic!("{status:?}");
        };
        assert!(is_transient, "{status:?}");
    };
    assert_transient(&host.datamover.until_ended(id).await);
    assert_transient(&host.transfer(job).await);
    let again = host.try_take(one.id, None).await.unwrap_err();
    assert_eq!(again.kind, RefusalKind::Conflict);
    host.end(one.id, false).await;
    host.end(one.id, false).await;
    guest.start();
    assert_eq!(guest.bitmaps(), Vec::<String>::new());
    let two = host.take(None).await;
    host.end(two.id, true).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_point_outlives_a_kill_of_the_datamover_and_a_half_taken_one_is_undone() {
    let mut host = Host::new("").await;
    host.guest.start();
    host.guest.write("vda", 1, 0, MIB);
    host.keep_models("one");
    let one = host.take(None).await;
    host.guest.write("vda", 2, 0, MIB);
    host.datamover.end(Signal::SIGKILL);
    host.datamover.start_again().await;
    assert_eq!(host.try_take(one.id, None).await.unwrap(), one);
    host.back_up(&one, "one", None).await;
    host.datamover.end(Signal::SIGKILL);
    host.datamover.start_again().await;
    host.end(one.id, true).await;
    let mut since = one;
    for pause in [0, 20, 40, 60, 80, 100, 130, 160, 200, 250] {
        let id = new_point();
        let request = host.request(Some(&since));
        let client = &host.datamover.client;
        let question = Question::PointTake { id, request };
        let asked = client.ask("compute1", &question, Duration::from_millis(pause));
        let _nobody_waits = asked.await;
        host.datamover.end(Signal::SIGKILL);
        host.datamover.start_again().await;
        let taken_again = host.try_take(id, Some(&since)).await.unwrap();
        assert_eq!(taken(&taken_again, "vda").changes_unknown, None, "{pause}");
        assert!(host.guest.has_backup_job());
        host.datamover.end(Signal::SIGKILL);
        host.datamover.start_again().await;
        host.end(id, true).await;
        assert_eq!(host.guest.bitmaps(), [mark(id), mark(id)]);
        since = taken_again;
    }
    host.guest.stop();
    host.guest.undefine();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn older_claims_other_points_and_other_disks_are_refused() {
    let host = Host::new("").await;
    host.guest.start();
    let one = host.take(None).await;
    let refused = |answer: Result<PointStatus, Refusal>| answer.unwrap_err().kind;
    let mut request = host.request(None);
    request.epoch = 4;
    let question = |id, request: &PointRequest| Question::PointTake {
        id,
        request: request.clone(),
    };
    let older = host.ask_point(question(one.id, &request)).await;
    assert_eq!(refused(older), RefusalKind::Fenced);
    let other = host.try_take(new_point(), None).await;
    assert_eq!(refused(other), RefusalKind::Conflict);
    request.epoch = 6;
    assert_eq!(
        host.ask_point(question(one.id, &request)).await,
        Ok(one.clone())
    );
    let end = PointEnd {
        epoch: 5,
        keep_marks: true,
    };
    let older = host
        .datamover
        .ask(Question::PointEnd { id: one.id, end })
        .await;
    let Answer::Refused(older) = older else {
        panic!("{older:?}");
    };
    assert_eq!(older.kind, RefusalKind::Fenced);
    request.disks.pop();
    let fewer = host.ask_point(question(one.id, &request)).await;
    assert_eq!(refused(fewer), RefusalKind::Conflict);
    request.disks.clear();
    let none = host.ask_point(question(new_point(), &request)).await;
    assert_eq!(refused(none), RefusalKind::Invalid);
    let end = PointEnd {
        epoch: 6,
        keep_marks: false,
    };
    for id in [one.id, one.id, new_point()] {
        let answer = host.datamover.ask(Question::PointEnd { id, end }).await;
        assert_eq!(answer, Answer::Done);
    }
    host.assert_nothing_left();
    let mut request = host.request(None);
    request.epoch = 7;
    let ended = host.ask_point(question(one.id, &request)).await;
    assert_eq!(refused(ended), RefusalKind::Conflict);
    request.disks[0].device = "vdx".into();
    let unknown = host.ask_point(question(new_point(), &request)).await;
    assert_eq!(refused(unknown), RefusalKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_point_that_nobody_ends_is_ended_and_none_begins_without_room() {
    let host = Host::new("expiry_seconds = 1\n").await;
    host.guest.start();
    let one = host.take(None).await;
    let limit = Instant::now() + LIMIT;
    while host.guest.has_backup_job() || !host.guest.bitmaps().is_empty() {
        assert!(Instant::now() < limit, "{}", host.datamover.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let job = Host::job(&one, "vda", "late", None);
    let status = host.transfer(job).await;
    assert!(matches!(status.state, TransferState::Failed { .. }));
    host.end(one.id, true).await;

    let host = Host::new("").await;
    host.guest.start();
    let full = "[points]\npath = {path}/points\nscratch_min_free_bytes = 1000000000000000\n";
    let Host { guest, .. } = host;
    let datamover = Datamover::start_as_nova(full).await;
    let host = Host { datamover, guest };
    let refused = host.try_take(new_point(), None).await.unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Unreachable);
    assert!(refused.message.contains("bytes free"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn what_is_known_of_the_bitmaps_of_a_deleted_server_is_forgotten() {
    let mut host = Host::new("").await;
    host.guest.start();
    let one = host.take(None).await;
    host.end(one.id, true).await;
    let file = host.guest.id.to_string() + ".json";
    let known = host.datamover.path("state/marks").join(file);
    host.datamover.end(Signal::SIGTERM);
    host.datamover.start_again().await;
    let two = host.take(Some(&one)).await;
    assert_eq!(taken(&two, "vda").changes_unknown, None);
    host.end(two.id, true).await;
    assert!(known.exists());
    host.guest.stop();
    host.guest.undefine();
    host.datamover.end(Signal::SIGTERM);
    host.datamover.start_again().await;
    let limit = Instant::now() + LIMIT;
    while known.exists() {
        assert!(Instant::now() < limit, "{}", host.datamover.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An image in the pool of Nova's disks, gone with this value.
struct RbdDisk(String);

impl RbdDisk {
    fn create(server_id: Uuid) -> Self {
        let image = Self(format!("vms/{server_id}_disk"));
        run("rbd", &["create", "--size", "64M", &image.0]);
        image.write(1, 0, 10 * MIB);
        image
    }

    fn write(&self, pattern: u8, offset: u64, length: u64) {
        let command = format!("write -P {pattern} {offset} {length}");
        run(
            "qemu-io",
            &["-f", "raw", "-c", &command, &format!("rbd:{}", self.0)],
        );
    }

    fn snapshots(&self) -> String {
        run("rbd", &["snap", "ls", &self.0])
    }

    fn delete(&self) {
        run("rbd", &["snap", "purge", "--no-progress", &self.0]);
        run("rbd", &["rm", "--no-progress", &self.0]);
    }
}

impl Drop for RbdDisk {
    fn drop(&mut self) {
        for arguments in [
            &["snap", "purge", "--no-progress"][..],
            &["rm", "--no-progress"],
        ] {
            let _gone = std::process::Command::new("rbd")
                .args(arguments)
                .arg(&self.0)
                .output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_disk_in_ceph_has_a_snapshot_for_as_long_as_its_point() {
    let mut host = Host::new("[ceph]\nuser = backup\npools = vms\n").await;
    let guest = &host.guest;
    guest.describe_in_ceph("vms");
    let disk = RbdDisk::create(guest.id);
    for is_running in [false, true] {
        if is_running {
            guest.start();
        }
        let answer = host
            .datamover
            .ask(Question::ServerDisks {
                server_id: guest.id,
            })
            .await;
        let Answer::ServerDisks(disks) = answer else {
            panic!("{answer:?}");
        };
        let told: Vec<_> = disks
            .disks
            .iter()
            .map(|d| (d.role, d.storage, d.size_bytes))
            .collect();
        assert_eq!(told, [(DiskRole::Root, DiskStorage::Rbd, 64 * MIB)]);
    }
    let request = |since: Option<String>| PointRequest {
        epoch: 5,
        server_id: host.guest.id,
        disks: vec![PointDisk {
            device: "vda".into(),
            since,
        }],
    };
    let question = |id, request| Question::PointTake { id, request };
    let id = new_point();
    let one = host.ask_point(question(id, request(None))).await.unwrap();
    let expected = TakenDisk {
        device: "vda".into(),
        size_bytes: 64 * MIB,
        mark: None,
        changes_unknown: None,
    };
    assert_eq!(one.disks, [expected]);
    assert!(disk.snapshots().contains(&mark(id)));
    let model = host.datamover.path("disks/one-vda");
    let model = model.to_str().unwrap();
    run(
        "qemu-img",
        &[
            "convert",
            "-O",
            "raw",
            &format!("rbd:{}@{}", disk.0, mark(id)),
            model,
        ],
    );
    host.guest.stop();
    disk.write(2, 5 * MIB, MIB);
    assert_eq!(
        host.ask_point(question(id, request(None))).await,
        Ok(one.clone())
    );
    let job = Host::job(&one, "vda", "one", None);
    let status = host.transfer(job).await;
    assert!(matches!(status.state, TransferState::Done(_)), "{status:?}");
    host.datamover.compare("one-vda", "one-vda");
    host.datamover.end(Signal::SIGKILL);
    host.datamover.start_again().await;
    let end = PointEnd {
        epoch: 5,
        keep_marks: true,
    };
    let answer = host.datamover.ask(Question::PointEnd { id, end }).await;
    assert_eq!(answer, Answer::Done);
    assert_eq!(disk.snapshots(), "");
    // The server is deleted while its point stands.
    let request = PointRequest {
        epoch: 5,
        server_id: host.guest.id,
        disks: vec![PointDisk {
            device: "vda".into(),
            since: Some("x".into()),
        }],
    };
    let id = new_point();
    let two = host.ask_point(question(id, request)).await.unwrap();
    assert!(taken(&two, "vda").changes_unknown.is_some());
    disk.delete();
    host.guest.undefine();
    let answer = host.datamover.ask(Question::PointEnd { id, end }).await;
    assert_eq!(answer, Answer::Done);
}
