//! What a subcommand needs while it runs: the target, a place for its state, progress, Ctrl-C.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use agent_contract::{ImagePlace, TransferId, TransferJob, TransferOutcome};
use agent_format::ObjectName;
use agent_target::Target;
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;
use uuid::Uuid;

use super::arguments::Common;
use super::error::{CommandError, io};
use super::interrupt::Interrupt;
use super::output;
use super::progress::Progress;
use super::target::TargetPlace;
use crate::disks::Disks;
use crate::journal::{Journal, JournalError};
use crate::targets::Targets;
use crate::transfer::{Host, Interrupted, JobError, Run, Throttle, Ticket, Work};

/// The one target of a subcommand has no id of its own.
const TARGET: &str = "target";

pub(super) struct Session<'a> {
    pub(super) common: &'a Common,
    pub(super) target: Arc<dyn Target>,
    /// What the target is called from anywhere.
    pub(super) identity: String,
    pub(super) host: Host,
    state: PathBuf,
    interrupt: Interrupt,
}

/// Where a transfer begins, and what becomes of its checkpoints.
pub(super) struct Resume<'a> {
    pub(super) id: TransferId,
    pub(super) work: Option<Work>,
    pub(super) save: &'a (dyn Fn(Work) -> Result<(), JournalError> + Sync),
}

impl<'a> Session<'a> {
    pub(super) fn open(common: &'a Common, place: &TargetPlace) -> Result<Self, CommandError> {
        let target = place.open(common)?;
        let state = state_path(common)?;
        let host = Host {
            targets: Targets::of([(TARGET.to_owned(), target.clone())]),
            disks: Disks::none(),
            throttle: Throttle::new(common.limit_rate.filter(|rate| *rate > 0)),
            checkpoint_interval: Duration::from_secs(common.checkpoint_seconds),
            journal: Journal::open(state.join("transfers"))?,
        };
        Ok(Self {
            common,
            target,
            identity: place.identity(common)?,
            host,
            state,
            interrupt: Interrupt::listen()?,
        })
    }

    /// Carries one transfer out, showing how far it is; `Interrupted` on Ctrl-C.
    pub(super) fn transfer<T>(
        &self,
        label: &str,
        resume: Resume<'_>,
        body: impl FnOnce(&Run<'_>) -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let ticket = Ticket::default();
        let progress = Progress::new(label, self.common.quiet);
        std::thread::scope(|scope| {
            let (running, done) = channel();
            let ticket = &ticket;
            scope.spawn(move || {
                progress.watch(&done, || {
                    if self.interrupt.is_told() {
                        ticket.interrupt(Interrupted::Stopping);
                    }
                    ticket.progress()
                });
            });
            let result = body(&Run {
                id: resume.id,
                host: &self.host,
                ticket,
                work: resume.work,
                save: resume.save,
            });
            drop::<std::sync::mpsc::Sender<()>>(running);
            result
        })
    }

    /// A transfer that begins anew every time.
    pub(super) fn transfer_afresh<T>(
        &self,
        label: &str,
        body: impl FnOnce(&Run<'_>) -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let resume = Resume {
            id: TransferId(Uuid::new_v4()),
            work: None,
            save: &|_| Ok(()),
        };
        self.transfer(label, resume, body)
    }

    /// A transfer as the daemon would carry it out.
    pub(super) fn carry_out(
        &self,
        label: &str,
        job: &TransferJob,
    ) -> Result<TransferOutcome, JobError> {
        self.transfer_afresh(label, |run| run.carry_out(job))
    }

    /// Returns on Ctrl-C.
    pub(super) fn wait_for_interrupt(&self) {
        self.interrupt.wait();
    }

    /// Between transfers.
    pub(super) fn check_interrupt(&self) -> Result<(), CommandError> {
        if self.interrupt.is_told() {
            return Err(CommandError::Interrupted(""));
        }
        Ok(())
    }

    pub(super) fn place_of(&self, image: &ObjectName) -> ImagePlace {
        ImagePlace {
            target: TARGET.to_owned(),
            name: image.to_string(),
        }
    }

    /// A file of the state.
    pub(super) fn state_file(&self, id: Uuid, extension: &str) -> PathBuf {
        self.state.join(format!("{id}.{extension}"))
    }

    /// What nobody else on this host with the same state does meanwhile.
    pub(super) fn lock(&self, id: Uuid, doing: &str) -> Result<Flock<File>, CommandError> {
        self.lock_as(FlockArg::LockExclusiveNonblock, id, doing)
    }

    /// The same, but for others who take it like this.
    pub(super) fn lock_shared(&self, id: Uuid, doing: &str) -> Result<Flock<File>, CommandError> {
        self.lock_as(FlockArg::LockSharedNonblock, id, doing)
    }

    fn lock_as(&self, how: FlockArg, id: Uuid, doing: &str) -> Result<Flock<File>, CommandError> {
        let path = self.state_file(id, "lock");
        let file = File::create(&path).map_err(io(format!("write {}", path.display())))?;
        Flock::lock(file, how).map_err(|_| {
            CommandError::Refused(format!("another program on this host is at it: {doing}"))
        })
    }

    /// The result, for people or for programs.
    pub(super) fn tell(&self, human: &str, json: &Value) -> Result<(), CommandError> {
        match (self.common.json, self.common.quiet) {
            (true, _) => output::say(&json.to_string()),
            (false, true) => Ok(()),
            (false, false) => output::say(human),
        }
    }

    /// What somebody should know although all is well.
    pub(super) fn warn(&self, warning: &str) {
        output::complain(&format!("warning: {warning}"));
    }
}

fn state_path(common: &Common) -> Result<PathBuf, CommandError> {
    let path = match &common.state {
        Some(path) => path.clone(),
        None => default_state_path().ok_or_else(|| {
            CommandError::Refused("neither HOME nor XDG_STATE_HOME is set: give --state".to_owned())
        })?,
    };
    std::fs::create_dir_all(&path).map_err(io(format!("make {}", path.display())))?;
    Ok(path)
}

fn default_state_path() -> Option<PathBuf> {
    let folder = |name| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    Some(state?.join("backstay-datamover"))
}
