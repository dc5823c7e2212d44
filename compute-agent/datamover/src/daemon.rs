//! The daemon: takes up its journals, serves its host on the message bus, ends in good order.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use agent_blocks::libvirt::Libvirt;
use agent_contract::{Answer, HostStatus, Question, Refusal, RefusalKind, amqp};
use anyhow::Context;
use async_trait::async_trait;
use nix::fcntl::{Flock, FlockArg};
use tokio_util::sync::CancellationToken;

use crate::connections::{Brick, Connections};
use crate::disks::Disks;
use crate::freeze::{Freezes, Virsh};
use crate::journal::Journal;
use crate::points::Points;
use crate::server_disks::Servers;
use crate::settings::Settings;
use crate::targets::Targets;
use crate::transfer::{Host, Throttle, Transfers, start_workers};

/// Longer than a read or a write may hang that is worth waiting for.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const PRUNE_INTERVAL: Duration = Duration::from_secs(3600);

/// Serves until `stop`.
pub async fn serve(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let datamover = Datamover::start(&settings)?;
    let pruned = prune_from_time_to_time(datamover.transfers.clone());
    let responder = datamover.responder();
    let serving = amqp::serve(settings.bus, &settings.host, responder, stop.clone());
    tokio::select! {
        () = serving => {}
        () = pruned => {}
    }
    datamover.stop().await;
    Ok(())
}

/// A datamover at work, however it is asked.
pub struct Datamover {
    daemon: Arc<Daemon>,
    transfers: Arc<Transfers>,
    workers: Vec<JoinHandle<()>>,
    _lock: Flock<std::fs::File>,
}

impl Datamover {
    /// Takes up its journals and goes on with what they say. Must be called in a tokio runtime.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.state_path)
            .with_context(|| format!("cannot make {}", settings.state_path.display()))?;
        let lock = lock(&settings.state_path)?;
        let freezes = Journal::open(settings.state_path.join("freezes"))?;
        let freezes = Freezes::load(freezes, Virsh::new(settings.libvirt_uri.clone()))?;
        let targets = Targets::new(&settings.targets)?;
        targets.watch();
        let servers = servers(settings);
        let points = Points::load(
            servers.clone(),
            settings.points.clone(),
            Journal::open(settings.state_path.join("points"))?,
            Journal::open(settings.state_path.join("marks"))?,
        )?;
        points.keep();
        let connections = Connections::load(
            Brick::new(&settings.brick, &settings.host, &settings.state_path),
            agent_blocks::Settings::default(),
            Journal::open(settings.state_path.join("connections"))?,
        )?;
        connections.keep();
        let disks = Disks::new(settings);
        let transfers = Arc::new(Transfers::load(Host {
            targets: targets.clone(),
            disks: disks.with(points.clone(), connections.clone()),
            throttle: Throttle::new(settings.transfers.rate_limit_bytes_per_second),
            checkpoint_interval: settings.transfers.checkpoint_interval,
            journal: Journal::open(settings.state_path.join("transfers"))?,
        })?);
        let workers = start_workers(&transfers, settings.transfers.workers);
        let daemon = Arc::new(Daemon {
            host: settings.host.clone(),
            transfers: transfers.clone(),
            freezes,
            servers,
            points,
            connections,
            targets,
        });
        Ok(Self {
            daemon,
            transfers,
            workers,
            _lock: lock,
        })
    }

    /// Answers questions.
    pub fn responder(&self) -> Arc<dyn amqp::Responder> {
        self.daemon.clone()
    }

    /// Checkpoints what is under way and ends.
    pub async fn stop(self) {
        self.transfers.stop();
        let workers = self.workers;
        let join = tokio::task::spawn_blocking(move || {
            let panicked = workers
                .into_iter()
                .map(JoinHandle::join)
                .filter(Result::is_err);
            panicked.count()
        });
        match tokio::time::timeout(STOP_LIMIT, join).await {
            Ok(Ok(0)) => tracing::info!("all transfers are at rest"),
            // Their checkpoints are on disk: nothing but time is lost.
            _ => tracing::warn!("stopping although a transfer hangs"),
        }
    }
}

fn servers(settings: &Settings) -> Servers {
    let blocks = agent_blocks::Settings::default();
    Servers {
        libvirt: Libvirt::new(settings.libvirt_uri.as_str(), &blocks),
        ceph: settings.ceph.clone(),
        blocks,
    }
}

/// Two datamovers on one journal would undo each other's work.
fn lock(state_path: &Path) -> anyhow::Result<Flock<std::fs::File>> {
    let path = state_path.join("lock");
    let file = std::fs::File::create(&path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno);
    locked.with_context(|| format!("another datamover uses {}", state_path.display()))
}

async fn prune_from_time_to_time(transfers: Arc<Transfers>) {
    loop {
        tokio::time::sleep(PRUNE_INTERVAL).await;
        let transfers = transfers.clone();
        if tokio::task::spawn_blocking(move || transfers.prune())
            .await
            .is_err()
        {
            tracing::error!("forgetting old transfers failed");
        }
    }
}

struct Daemon {
    host: String,
    transfers: Arc<Transfers>,
    freezes: Freezes,
    servers: Servers,
    points: Points,
    connections: Connections,
    targets: Targets,
}

impl Daemon {
    /// What is journaled to disk, or asks other programs: not on a thread that must not block. It goes
    /// on to its end if whoever asks goes away.
    async fn blocking(&self, question: Question) -> Answer {
        let (transfers, points) = (self.transfers.clone(), self.points.clone());
        let (servers, connections) = (self.servers.clone(), self.connections.clone());
        let asked = tokio::task::spawn_blocking(move || match question {
            Question::TransferStart { id, request } => {
                transfers.start(id, request).map(Answer::Transfer)
            }
            Question::TransferShow { id } => transfers.show(id).map(Answer::Transfer),
            Question::TransferCancel { id, epoch } => {
                transfers.cancel(id, epoch).map(Answer::Transfer)
            }
            Question::ServerDisks { server_id } => {
                servers.disks(server_id).map(Answer::ServerDisks)
            }
            Question::PointTake { id, request } => points.take(id, request).map(Answer::Point),
            Question::PointEnd { id, end } => points.end(id, end).map(|()| Answer::Done),
            Question::Connector {} => connections.connector().map(Answer::Connector),
            Question::ConnectionOpen { id, request } => {
                connections.open(id, request).map(Answer::Connection)
            }
            Question::ConnectionClose { id, epoch } => {
                connections.close(id, epoch).map(|()| Answer::Done)
            }
            _ => Err(unexpected()),
        });
        let answered = asked.await.unwrap_or_else(|_| Err(unexpected()));
        answered.unwrap_or_else(Answer::Refused)
    }
}

fn unexpected() -> Refusal {
    Refusal::new(RefusalKind::Internal, "the question could not be worked on")
}

#[async_trait]
impl amqp::Responder for Daemon {
    async fn answer(&self, question: Question) -> Answer {
        let outcome = match question {
            Question::FreezeStart { id, request } => self.freezes.start(id, request).await,
            Question::FreezeEnd { id } => self.freezes.end(id).await,
            question => return self.blocking(question).await,
        };
        match outcome {
            Ok(outcome) => Answer::Freeze(outcome),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn status(&self) -> HostStatus {
        HostStatus {
            host: self.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            is_alive: true,
            last_heard_at: chrono::Utc::now(),
            targets: self.targets.writable(),
            active_transfers: u32::try_from(self.transfers.active()).unwrap_or(u32::MAX),
        }
    }
}
