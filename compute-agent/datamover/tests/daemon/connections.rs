//! Volumes connected by a stand-in for os-brick, and by os-brick itself on the lab.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agent_contract::{
    Answer, BackupJob, ConnectionId, ConnectionRequest, ConnectionStatus, DiskLocation,
    ImageCompression, ImageFacts, Question, Refusal, RefusalKind, RestoreJob, TransferJob,
    TransferOutcome, TransferState,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::datamover::{Datamover, LIMIT, image, new_id, noise, open_to_all};
use crate::guest::{MIB, run};

const SECRET: &str = "open-sesame-7";

fn new_connection() -> ConnectionId {
    ConnectionId(Uuid::new_v4())
}

fn location(connection: ConnectionId, snapshot: Option<&str>) -> DiskLocation {
    DiskLocation::Connection {
        connection,
        snapshot: snapshot.map(str::to_owned),
    }
}

async fn open(
    datamover: &Datamover,
    id: ConnectionId,
    epoch: i64,
    connection_info: &Value,
) -> Result<ConnectionStatus, Refusal> {
    let request = ConnectionRequest {
        epoch,
        connection_info: connection_info.clone(),
    };
    match datamover
        .ask(Question::ConnectionOpen { id, request })
        .await
    {
        Answer::Connection(status) => Ok(status),
        Answer::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

async fn close(datamover: &Datamover, id: ConnectionId, epoch: i64) -> Answer {
    datamover.ask(Question::ConnectionClose { id, epoch }).await
}

async fn carry_out(datamover: &Datamover, job: TransferJob) -> TransferOutcome {
    let id = new_id();
    datamover.begin(id, 1, job).await.unwrap();
    let status = datamover.until_ended(id).await;
    let TransferState::Done(outcome) = status.state else {
        panic!("{status:?}");
    };
    outcome
}

fn backup(source: DiskLocation, size_bytes: u64, name: &str) -> BackupJob {
    BackupJob {
        source,
        size_bytes,
        since: None,
        image: image(name),
        backing: None,
        compression: ImageCompression::None,
    }
}

fn restore(chain: &[&str], destination: DiskLocation, size_bytes: u64) -> TransferJob {
    TransferJob::Restore(RestoreJob {
        chain: chain.iter().map(|name| image(name)).collect(),
        size_bytes,
        destination,
        is_destination_zeroed: false,
        digests: Vec::new(),
    })
}

fn facts(outcome: &TransferOutcome) -> &ImageFacts {
    match outcome {
        TransferOutcome::Image(facts) => facts,
        other => panic!("{other:?}"),
    }
}

async fn with_stand_in() -> Datamover {
    let datamover = Datamover::start("[brick]\ncommand = {path}/bin/brick\n").await;
    fs::write(datamover.path("bin/brick"), include_str!("brick.sh")).unwrap();
    open_to_all(&datamover.path("bin/brick"));
    fs::create_dir(datamover.path("brick")).unwrap();
    open_to_all(&datamover.path("brick"));
    datamover.make_disk("volume", &noise(300_000));
    let path = datamover.path("disks/volume");
    fs::write(datamover.path("brick/path"), path.to_str().unwrap()).unwrap();
    datamover
}

fn asked(datamover: &Datamover) -> Vec<String> {
    let asked = fs::read_to_string(datamover.path("brick/asked")).unwrap_or_default();
    asked.lines().map(str::to_owned).collect()
}

fn set(datamover: &Datamover, name: &str, is_set: bool) {
    let path = datamover.path("brick").join(name);
    if is_set {
        fs::write(path, "").unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

fn iscsi() -> Value {
    json!({"driver_volume_type": "iscsi", "target_iqn": "iqn.1", "auth_password": SECRET})
}

/// In the log, or in a journal of something that has ended.
fn assert_no_secret(datamover: &Datamover) {
    assert!(!datamover.log().contains(SECRET));
    for file in fs::read_dir(datamover.path("state/connections")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_while_a_host_is_looked_at_does_not_have_it_looked_at_again() {
    let datamover = with_stand_in().await;
    set(&datamover, "slow", true);
    let question = Question::Connector {};
    let impatient = Duration::from_millis(300);
    let asked_first = datamover.client.ask("compute1", &question, impatient);
    asked_first.await.unwrap_err();
    let answers = async { tokio::join!(datamover.ask(question.clone()), datamover.ask(question)) };
    let release = async { set(&datamover, "slow", false) };
    let ((one, two), ()) = tokio::join!(answers, release);
    assert!(matches!(&one, Answer::Connector(_)), "{one:?}");
    assert_eq!(one, two);
    assert_eq!(asked(&datamover), ["connector"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_connected_once_read_written_and_disconnected() {
    let datamover = with_stand_in().await;
    let Answer::Connector(connector) = datamover.ask(Question::Connector {}).await else {
        panic!("no connector");
    };
    assert_eq!(connector.0["initiator"], "iqn.2026-11.test:1");
    let id = new_connection();
    let status = ConnectionStatus {
        id,
        size_bytes: 300_000,
    };
    for epoch in [3, 3, 4] {
        assert_eq!(
            open(&datamover, id, epoch, &iscsi()).await,
            Ok(status.clone())
        );
    }
    let kind = |refused: Result<_, Refusal>| refused.unwrap_err().kind;
    let older = open(&datamover, id, 3, &iscsi()).await;
    assert_eq!(kind(older), RefusalKind::Fenced);
    let other = open(&datamover, id, 4, &json!({"driver_volume_type": "rbd"})).await;
    assert_eq!(kind(other), RefusalKind::Conflict);
    let nothing = open(&datamover, new_connection(), 1, &json!({"x": SECRET})).await;
    assert_eq!(kind(nothing), RefusalKind::Invalid);
    let journal = datamover.path(&format!("state/connections/{id}.json"));
    let mode = fs::metadata(&journal).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let job = backup(location(id, None), 300_000, "one");
    carry_out(&datamover, TransferJob::Backup(job)).await;
    datamover.make_disk("volume", &vec![0; 300_000]);
    carry_out(&datamover, restore(&["one"], location(id, None), 300_000)).await;
    assert!(fs::read(datamover.path("disks/volume")).unwrap() == noise(300_000));
    let job = backup(location(id, Some("snapshot")), 300_000, "two");
    let transfer = new_id();
    datamover
        .begin(transfer, 1, TransferJob::Backup(job))
        .await
        .unwrap();
    let refused = datamover.until_ended(transfer).await;
    assert!(matches!(
        refused.state,
        TransferState::Failed {
            is_transient: false,
            ..
        }
    ));

    assert!(matches!(close(&datamover, id, 3).await, Answer::Refused(_)));
    for id in [id, id, new_connection()] {
        assert_eq!(close(&datamover, id, 4).await, Answer::Done);
    }
    assert_eq!(asked(&datamover), ["connector", "connect", "disconnect"]);
    let closed = open(&datamover, id, 4, &iscsi()).await;
    assert_eq!(kind(closed), RefusalKind::Conflict);
    assert_eq!(open(&datamover, id, 5, &iscsi()).await, Ok(status));
    assert_eq!(close(&datamover, id, 5).await, Answer::Done);
    assert_no_secret(&datamover);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_or_is_interrupted_is_disconnected() {
    let mut datamover = with_stand_in().await;
    // Half connected, for all we know.
    set(&datamover, "refuse", true);
    let id = new_connection();
    let refused = open(&datamover, id, 1, &iscsi()).await.unwrap_err();
    assert!(refused.message.contains("not found"), "{refused}");
    assert_eq!(asked(&datamover), ["connect", "disconnect"]);
    set(&datamover, "refuse", false);
    open(&datamover, id, 1, &iscsi()).await.unwrap();
    // A device that is busy is tried again, also after a restart.
    set(&datamover, "busy", true);
    let Answer::Refused(busy) = close(&datamover, id, 1).await else {
        panic!("closed although it is busy");
    };
    assert_eq!(busy.kind, RefusalKind::Unreachable);
    datamover.end(Signal::SIGKILL);
    set(&datamover, "busy", false);
    datamover.start_again().await;
    assert_eq!(close(&datamover, id, 1).await, Answer::Done);

    // Killed in the middle: nobody comes back for it.
    set(&datamover, "hang", true);
    let before = asked(&datamover).len();
    let request = ConnectionRequest {
        epoch: 1,
        connection_info: iscsi(),
    };
    let id = new_connection();
    let question = Question::ConnectionOpen { id, request };
    let client = &datamover.client;
    let waited = client
        .ask("compute1", &question, Duration::from_secs(2))
        .await;
    assert!(waited.is_err());
    assert_eq!(asked(&datamover).len(), before + 1);
    datamover.end(Signal::SIGKILL);
    set(&datamover, "hang", false);
    datamover.start_again().await;
    let limit = Instant::now() + LIMIT;
    while asked(&datamover).last().map(String::as_str) != Some("disconnect")
        || fs::exists(datamover.path(&format!("state/connections/{id}.json"))).unwrap()
    {
        assert!(Instant::now() < limit, "{}", datamover.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // And may be asked for again.
    open(&datamover, id, 1, &iscsi()).await.unwrap();
    // One that stands when the program is killed stands when it is back.
    datamover.end(Signal::SIGKILL);
    datamover.start_again().await;
    let before = asked(&datamover).len();
    open(&datamover, id, 1, &iscsi()).await.unwrap();
    assert_eq!(asked(&datamover).len(), before);
    assert_eq!(close(&datamover, id, 1).await, Answer::Done);
    assert_no_secret(&datamover);
}

/// The real os-brick, as user nova, with Nova's own way to privileges.
async fn with_os_brick() -> Datamover {
    let helper = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/backstay_brick.py");
    Datamover::start_as_nova(&format!(
        "[brick]\ncommand = /usr/bin/python3 {}\nmount_path = {{path}}/mnt\n",
        helper.display()
    ))
    .await
}

/// Unmounts what os-brick mounted, which it leaves to whoever comes next.
struct Mounts(PathBuf);

impl Drop for Mounts {
    fn drop(&mut self) {
        for share in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _gone = Command::new("umount").arg(share.path()).output();
        }
    }
}

/// A loop device, detached with this value.
struct Loop(String);

impl Loop {
    fn attach(file: &Path) -> Self {
        let device = run("losetup", &["--find", "--show", file.to_str().unwrap()]);
        Self(device.trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        for (program, arguments) in [("chown", vec!["root"]), ("losetup", vec!["--detach"])] {
            let _gone = Command::new(program).args(arguments).arg(&self.0).output();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn a_block_device_is_read_and_written_by_who_does_not_own_it() {
    let datamover = with_os_brick().await;
    let file = datamover.path("disks/device");
    fs::write(&file, noise(5 * 1024 * 1024)).unwrap();
    let device = Loop::attach(&file);
    let id = new_connection();
    let info = json!({"driver_volume_type": "local", "device_path": device.0});
    let status = open(&datamover, id, 1, &info).await.unwrap();
    assert_eq!(status.size_bytes, 5 * MIB);
    let job = backup(location(id, None), 5 * MIB, "one");
    carry_out(&datamover, TransferJob::Backup(job)).await;
    fs::copy(&file, datamover.path("disks/model")).unwrap();
    datamover.compare("one", "model");
    run("blkdiscard", &["-z", &device.0]);
    carry_out(&datamover, restore(&["one"], location(id, None), 5 * MIB)).await;
    assert_eq!(close(&datamover, id, 1).await, Answer::Done);
    let Answer::Connector(connector) = datamover.ask(Question::Connector {}).await else {
        panic!("no connector");
    };
    assert_eq!(connector.0["host"], "compute1");
    // Os-brick's complaint repeats what it was given, in capitals.
    let secret = SECRET.to_uppercase();
    let info = json!({"driver_volume_type": secret, "auth_password": secret});
    let refused = open(&datamover, new_connection(), 1, &info)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, RefusalKind::Invalid, "{refused}");
    assert!(refused.message.contains("***"), "{refused}");
    assert!(!refused.message.contains(&secret), "{refused}");
    assert_no_secret(&datamover);
    run("blockdev", &["--flushbufs", &device.0]);
    assert!(fs::read(&file).unwrap() == noise(5 * 1024 * 1024));
}

/// A volume of the lab's NFS backend, deleted with this value.
struct NfsVolume {
    id: String,
    snapshots: Vec<String>,
}

fn cinder(arguments: &[&str]) -> String {
    let output = Command::new("openstack")
        .env("OS_CLOUD", "lab-demo")
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn until_available(arguments: &[&str]) {
    let limit = Instant::now() + LIMIT;
    let all = [arguments, &["-f", "value", "-c", "status"]].concat();
    loop {
        match cinder(&all).as_str() {
            "available" => return,
            "error" => panic!("{arguments:?} is in error"),
            _ => assert!(Instant::now() < limit, "{arguments:?}"),
        }
    }
}

const SHARE: &str = "/var/lib/lab/nfs1";

impl NfsVolume {
    fn create() -> Self {
        let name = format!("backstay-test-{}", Uuid::new_v4());
        let arguments = ["volume", "create", "--size", "1", "--type", "nfs", &name];
        let id = cinder(&[&arguments[..], &["-f", "value", "-c", "id"]].concat());
        until_available(&["volume", "show", &id]);
        Self {
            id,
            snapshots: Vec::new(),
        }
    }

    fn snapshot(&mut self) -> String {
        let volume = &self.id;
        let arguments = ["volume", "snapshot", "create", "--volume", volume, "s"];
        let id = cinder(&[&arguments[..], &["-f", "value", "-c", "id"]].concat());
        self.snapshots.push(id.clone());
        until_available(&["volume", "snapshot", "show", &id]);
        id
    }

    fn delete_snapshot(&mut self, id: &str) {
        cinder(&["volume", "snapshot", "delete", id]);
        let info = format!("{SHARE}/volume-{}.info", self.id);
        let limit = Instant::now() + LIMIT;
        while fs::read_to_string(&info)
            .unwrap()
            .contains(&format!("\"{id}\""))
        {
            assert!(Instant::now() < limit);
        }
        self.snapshots.retain(|known| known != id);
    }

    fn active(&self) -> String {
        let info = fs::read_to_string(format!("{SHARE}/volume-{}.info", self.id));
        let info: Value = serde_json::from_str(&info.unwrap_or_default()).unwrap_or_default();
        let active = info.get("active").and_then(Value::as_str);
        active.map_or_else(|| format!("volume-{}", self.id), str::to_owned)
    }

    /// As a guest would.
    fn write(&self, model: &Path, command: &str) {
        let active = format!("{SHARE}/{}", self.active());
        for (format, file) in [("qcow2", active.as_str()), ("raw", model.to_str().unwrap())] {
            run("qemu-io", &["-f", format, "-c", command, file]);
        }
    }

    /// As Cinder's attachment has it.
    fn connection_info(&self) -> Value {
        json!({
            "driver_volume_type": "nfs",
            "export": "127.0.0.1:/lab/nfs1",
            "name": self.active(),
            "options": null,
            "format": "qcow2",
            "mount_point_base": "/var/lib/lab/cinder/mnt",
        })
    }
}

impl Drop for NfsVolume {
    fn drop(&mut self) {
        for snapshot in self.snapshots.iter().rev() {
            let _gone = Command::new("openstack")
                .env("OS_CLOUD", "lab-demo")
                .args(["volume", "snapshot", "delete", snapshot])
                .output();
        }
        // Cinder is told once more when its snapshots are gone.
        for _ in 0..10 {
            let deleted = Command::new("openstack")
                .env("OS_CLOUD", "lab-demo")
                .args(["volume", "delete", &self.id])
                .output();
            if deleted.is_ok_and(|output| output.status.success()) {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the lab"]
async fn snapshots_of_a_volume_on_nfs_are_backed_up_and_come_back() {
    let datamover = with_os_brick().await;
    let _mounts = Mounts(datamover.path("mnt"));
    let size = 1024 * MIB;
    let model = datamover.path("disks/model");
    run("truncate", &["-s", "1G", model.to_str().unwrap()]);
    let mut volume = NfsVolume::create();
    volume.write(&model, "write -P 1 0 10M");
    let one = volume.snapshot();
    fs::copy(&model, datamover.path("disks/one")).unwrap();
    volume.write(&model, "write -P 2 5M 200k");
    let two = volume.snapshot();
    fs::copy(&model, datamover.path("disks/two")).unwrap();
    volume.write(&model, "write -P 3 0 20M");

    let id = new_connection();
    let status = open(&datamover, id, 1, &volume.connection_info()).await;
    assert_eq!(status.unwrap().size_bytes, size);
    let full = backup(location(id, Some(&one)), size, "one");
    let full = carry_out(&datamover, TransferJob::Backup(full)).await;
    datamover.compare("one", "one");
    assert!(facts(&full).data_bytes <= 10 * MIB);
    let increment = BackupJob {
        since: Some(one.clone()),
        backing: Some(image("one")),
        ..backup(location(id, Some(&two)), size, "two")
    };
    let held = carry_out(&datamover, TransferJob::Backup(increment)).await;
    datamover.compare("two", "two");
    assert!(facts(&held).data_bytes <= 5 * 65536, "{held:?}");
    assert_eq!(facts(&held).warnings, Vec::<String>::new());

    // Without the earlier snapshot the changes are found by comparing.
    volume.delete_snapshot(&one);
    let three = volume.snapshot();
    fs::copy(&model, datamover.path("disks/three")).unwrap();
    let lost = BackupJob {
        since: Some(one),
        backing: Some(image("two")),
        ..backup(location(id, Some(&three)), size, "three")
    };
    let held = carry_out(&datamover, TransferJob::Backup(lost)).await;
    datamover.compare("three", "three");
    assert_eq!(facts(&held).warnings.len(), 1, "{held:?}");

    let other = NfsVolume::create();
    let filled = new_connection();
    let info = other.connection_info();
    open(&datamover, filled, 1, &info).await.unwrap();
    let chain = ["three", "two", "one"];
    carry_out(&datamover, restore(&chain, location(filled, None), size)).await;
    for connection in [id, filled] {
        assert_eq!(close(&datamover, connection, 1).await, Answer::Done);
    }
    let file = format!("{SHARE}/volume-{}", other.id);
    let disk = datamover.path("disks/three");
    let arguments = ["compare", "-q", "-f", "qcow2", "-F", "raw", &file];
    run(
        "qemu-img",
        &[&arguments[..], &[disk.to_str().unwrap()]].concat(),
    );
}
