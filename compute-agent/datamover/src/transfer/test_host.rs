//! A host with one target `main` in a temporary folder, for the tests of transfers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_contract::{BackupJob, DiskLocation, ImageCompression, ImagePlace, TransferId};
use agent_target::{DirectoryTarget, Target};
use services_foundation::config::Config;
use tempfile::TempDir;
use uuid::Uuid;

use super::entry::Work;
use super::run::{Host, Run};
use super::throttle::Throttle;
use super::ticket::Ticket;
use crate::disks::Disks;
use crate::journal::Journal;
use crate::settings::Settings;
use crate::targets::Targets;

pub(crate) const C: usize = 1 << 16;

pub(crate) struct TestHost {
    pub(crate) folder: TempDir,
    pub(crate) host: Host,
}

pub(crate) fn host() -> TestHost {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("target");
    std::fs::create_dir(&root).unwrap();
    host_with(folder, Arc::new(DirectoryTarget::initialise(root).unwrap()))
}

pub(crate) fn host_with(folder: TempDir, target: Arc<dyn Target>) -> TestHost {
    let text = format!(
        "[DEFAULT]\nhost = h\n[messaging]\ntransport_url = rabbit://h\n[raw]\nallowed_paths = {}\n",
        folder.path().display()
    );
    let config = Config::from_texts([("test.conf".into(), text)], []).unwrap();
    let settings = Settings::from_config(&config).unwrap();
    let host = Host {
        targets: Targets::of([("main".to_owned(), target)]),
        disks: Disks::new(&settings),
        throttle: Throttle::new(None),
        checkpoint_interval: Duration::ZERO,
        journal: Journal::open(folder.path().join("state")).unwrap(),
    };
    TestHost { folder, host }
}

type AtCheckpoint = Box<dyn Fn(u32, &Ticket) + Sync>;

/// One transfer's life over several runs.
pub(crate) struct Life {
    pub(crate) id: TransferId,
    pub(crate) work: Mutex<Option<Work>>,
    /// Called at each checkpoint with its number.
    pub(crate) at_checkpoint: AtCheckpoint,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            id: TransferId(Uuid::new_v4()),
            work: Mutex::default(),
            at_checkpoint: Box::new(|_, _| {}),
        }
    }

    pub(crate) fn live<T>(&self, host: &TestHost, run: impl FnOnce(&Run<'_>) -> T) -> T {
        let (ticket, count) = (Ticket::default(), Mutex::new(0));
        let save = |work| {
            *self.work.lock().unwrap() = Some(work);
            let mut count = count.lock().unwrap();
            *count += 1;
            (self.at_checkpoint)(*count, &ticket);
            Ok(())
        };
        let work = self.work.lock().unwrap().clone();
        run(&Run {
            id: self.id,
            host: &host.host,
            ticket: &ticket,
            work,
            save: &save,
        })
    }
}

impl TestHost {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("target").join(name)
    }
}

pub(crate) fn image(name: &str) -> ImagePlace {
    ImagePlace {
        target: "main".into(),
        name: name.into(),
    }
}

pub(crate) fn backup_job(name: &str, size_bytes: usize, since: Option<(&str, &str)>) -> BackupJob {
    BackupJob {
        source: DiskLocation::Raw {
            path: "/not/opened".into(),
        },
        size_bytes: size_bytes as u64,
        since: since.map(|(point, _)| point.to_owned()),
        image: image(name),
        backing: since.map(|(_, parent)| image(parent)),
        compression: ImageCompression::None,
    }
}

/// Bytes that differ from cluster to cluster and from seed to seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
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
