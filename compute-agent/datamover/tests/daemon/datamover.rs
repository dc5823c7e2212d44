//! The real program with a broker, a target and raw disks of its own, in one temporary folder.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_contract::amqp::{BusClient, BusSettings, PrivateBroker};
use agent_contract::{
    Answer, BackupJob, DiskLocation, ImageCompression, ImagePlace, Question, Refusal, RestoreJob,
    TransferId, TransferJob, TransferRequest, TransferState, TransferStatus,
};
use agent_target::DirectoryTarget;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const HOST: &str = "compute1";
/// Debian's `nobody`: root could write to a full or read-only folder.
const UNPRIVILEGED: u32 = 65534;

/// Who the program runs as, where the test is root.
#[derive(Clone, Copy)]
enum User {
    Nobody,
    Nova,
}

pub(crate) struct Datamover {
    pub(crate) folder: TempDir,
    pub(crate) client: BusClient,
    pub(crate) broker: PrivateBroker,
    child: Option<Child>,
    settings: String,
    user: User,
    _stop: DropGuard,
}

impl Datamover {
    /// `more` goes at the end of its configuration; `{path}` in it is the folder.
    pub(crate) async fn start(more: &str) -> Self {
        Self::start_as(more, User::Nobody).await
    }

    /// As on a host of the lab, where libvirt and os-brick let Nova in.
    pub(crate) async fn start_as_nova(more: &str) -> Self {
        Self::start_as(more, User::Nova).await
    }

    async fn start_as(more: &str, user: User) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("backstay-datamover-")
            .tempdir()
            .unwrap();
        open_to_all(folder.path());
        for name in ["target", "disks", "state", "bin"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            open_to_all(&folder.path().join(name));
        }
        DirectoryTarget::initialise(folder.path().join("target")).unwrap();
        let broker = PrivateBroker::start().unwrap();
        let stop = CancellationToken::new();
        let mut bus = BusSettings::new(broker.transport_url().parse().unwrap());
        bus.heartbeat_interval = Duration::from_secs(5);
        let client = BusClient::start(bus, "test", stop.clone());
        let mut datamover = Self {
            folder,
            client,
            broker,
            child: None,
            settings: more.to_owned(),
            user,
            _stop: stop.drop_guard(),
        };
        datamover.start_again().await;
        datamover
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn start_again(&mut self) {
        let path = self.folder.path().display();
        let text = format!(
            "[DEFAULT]\nhost = {HOST}\nstate_path = {path}/state\nlog_level = debug\n\
             [messaging]\ntransport_url = {}\n[target:main]\npath = {path}/target\n\
             [raw]\nallowed_paths = {path}/disks\n{}",
            self.broker.transport_url(),
            self.settings.replace("{path}", &path.to_string())
        );
        let config = self.path("datamover.conf");
        fs::write(&config, text).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut command = unprivileged(env!("CARGO_BIN_EXE_backstay-datamover"), self.user);
        let search = format!("{path}/bin:{}", std::env::var("PATH").unwrap());
        command
            .arg("--config-file")
            .arg(&config)
            .env("PATH", search);
        command
            .env("TMPDIR", "/tmp")
            .stdin(Stdio::null())
            .stderr(log);
        self.child = Some(command.spawn().unwrap());
        let limit = Instant::now() + LIMIT;
        let nobody = TransferId(Uuid::nil());
        while let Err(error) = self
            .client
            .ask(HOST, &Question::TransferShow { id: nobody }, LIMIT)
            .await
        {
            assert!(Instant::now() < limit, "{error:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Sends the signal and waits for the end.
    pub(crate) fn end(&mut self, signal: Signal) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        child.wait().unwrap()
    }

    pub(crate) async fn ask(&self, question: Question) -> Answer {
        self.client.ask(HOST, &question, LIMIT).await.unwrap()
    }

    pub(crate) async fn ask_transfer(&self, question: Question) -> Result<TransferStatus, Refusal> {
        match self.ask(question).await {
            Answer::Transfer(status) => Ok(status),
            Answer::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn begin(
        &self,
        id: TransferId,
        epoch: i64,
        job: TransferJob,
    ) -> Result<TransferStatus, Refusal> {
        let request = TransferRequest { epoch, job };
        self.ask_transfer(Question::TransferStart { id, request })
            .await
    }

    pub(crate) async fn show(&self, id: TransferId) -> TransferStatus {
        self.ask_transfer(Question::TransferShow { id })
            .await
            .unwrap()
    }

    /// Waits until the transfer is as wanted.
    pub(crate) async fn until(
        &self,
        id: TransferId,
        is_wanted: impl Fn(&TransferStatus) -> bool,
    ) -> TransferStatus {
        let limit = Instant::now() + LIMIT;
        loop {
            let status = self.show(id).await;
            if is_wanted(&status) {
                return status;
            }
            assert!(Instant::now() < limit, "{status:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_ended(&self, id: TransferId) -> TransferStatus {
        self.until(id, |status| {
            !matches!(status.state, TransferState::Queued | TransferState::Running)
        })
        .await
    }

    /// Makes a raw disk that everybody may read and write.
    pub(crate) fn make_disk(&self, name: &str, bytes: &[u8]) -> DiskLocation {
        let path = self.path("disks").join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        DiskLocation::Raw {
            path: path.to_str().unwrap().to_owned(),
        }
    }

    pub(crate) fn compare(&self, image: &str, disk: &str) {
        let (image, disk) = (
            self.path("target").join(image),
            self.path("disks").join(disk),
        );
        for arguments in [
            vec!["check", "-q", image.to_str().unwrap()],
            vec![
                "compare",
                "-q",
                "-f",
                "qcow2",
                "-F",
                "raw",
                image.to_str().unwrap(),
                disk.to_str().unwrap(),
            ],
        ] {
            let output = Command::new("qemu-img").args(&arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?} {output:?}");
        }
    }
}

impl Drop for Datamover {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill().and_then(|()| child.wait());
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn unprivileged(program: &str, user: User) -> Command {
    if !nix::unistd::Uid::effective().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    let nobody = UNPRIVILEGED.to_string();
    match user {
        User::Nobody => command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]),
        User::Nova => command.args(["--reuid", "nova", "--regid", "nova", "--init-groups"]),
    };
    command.args(["--inh-caps=-all", program]);
    command
}

pub(crate) fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

pub(crate) fn new_id() -> TransferId {
    TransferId(Uuid::new_v4())
}

pub(crate) fn image(name: &str) -> ImagePlace {
    ImagePlace {
        target: "main".into(),
        name: name.into(),
    }
}

pub(crate) fn backup(source: &DiskLocation, size_bytes: usize, name: &str) -> TransferJob {
    TransferJob::Backup(BackupJob {
        source: source.clone(),
        size_bytes: size_bytes as u64,
        since: None,
        image: image(name),
        backing: None,
        compression: ImageCompression::None,
    })
}

pub(crate) fn restore(
    destination: &DiskLocation,
    size_bytes: usize,
    chain: &[&str],
) -> TransferJob {
    TransferJob::Restore(RestoreJob {
        chain: chain.iter().map(|name| image(name)).collect(),
        size_bytes: size_bytes as u64,
        destination: destination.clone(),
        is_destination_zeroed: false,
        digests: Vec::new(),
    })
}

/// Bytes without a pattern.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
