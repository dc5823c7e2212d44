//! Volumes of any Cinder backend, connected to this host by os-brick for as long as they are read or
//! written.
//!
//! The journal knows of a connection before it is made, and until it is gone: one that was interrupted
//! is disconnected, since nobody can tell how far it was. The journal holds what connects, which may
//! hold secrets: only its owner may read it.
//!
//! | file | |
//! |---|---|
//! | `entry` | what the journal holds of one |
//! | `brick` | the program that calls os-brick |
//! | `share` | volumes and snapshots that are files on a share |
//! | `disk` | a connected volume, to be read or written |
//! | `keeper` | disconnects what could not be disconnected at once |

mod brick;
mod disk;
mod entry;
mod keeper;
mod share;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agent_blocks::ErrorKind;
use agent_contract::{
    ConnectionId, ConnectionRequest, ConnectionStatus, Connector, Refusal, RefusalKind,
};
pub(crate) use brick::Brick;
use chrono::{TimeDelta, Utc};
use entry::{Entry, Phase};

use crate::journal::{Journal, JournalError};
use crate::refused::{by_journal, by_storage, conflict, invalid, older_claim};

/// A closed connection is remembered for who asks again.
const KEPT: TimeDelta = TimeDelta::days(1);
/// What Cinder must know of a host changes seldom. A busy host may be slower to find it out than anybody
/// waits: who asks again gets what was found meanwhile, instead of making the host busier.
const CONNECTOR_HOLDS: Duration = Duration::from_secs(60);

/// All connections of this host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Shared>);

struct Shared {
    brick: Brick,
    blocks: agent_blocks::Settings,
    journal: Journal,
    entries: Mutex<BTreeMap<ConnectionId, Known>>,
    /// Locked while os-brick finds it out.
    connector: Mutex<Option<(Instant, Connector)>>,
}

/// Locked while os-brick is at work.
#[derive(Clone)]
struct Known(Arc<Mutex<Entry>>);

impl Known {
    fn new(entry: Entry) -> Self {
        Self(Arc::new(Mutex::new(entry)))
    }

    fn lock(&self) -> MutexGuard<'_, Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    /// Takes up what the journal holds.
    pub(crate) fn load(
        brick: Brick,
        blocks: agent_blocks::Settings,
        journal: Journal,
    ) -> Result<Self, JournalError> {
        let mut entries = BTreeMap::new();
        for (_, mut entry) in journal.load::<Entry>()? {
            if entry.phase == Phase::Opening {
                entry.phase = Phase::Closing { is_forgotten: true };
            }
            entries.insert(entry.id, Known::new(entry));
        }
        Ok(Self(Arc::new(Shared {
            brick,
            blocks,
            journal,
            entries: Mutex::new(entries),
            connector: Mutex::new(None),
        })))
    }

    /// What Cinder must know of this host.
    pub(crate) fn connector(&self) -> Result<Connector, Refusal> {
        let known = self.0.connector.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if let Some((at, connector)) = &*known
            && at.elapsed() < CONNECTOR_HOLDS
        {
            return Ok(connector.clone());
        }
        let connector = self.0.brick.connector();
        let connector = connector.map_err(|error| by_storage(&error))?;
        let connector = Connector(connector);
        *known = Some((Instant::now(), connector.clone()));
        Ok(connector)
    }

    /// Connects, or tells of what is connected.
    pub(crate) fn open(
        &self,
        id: ConnectionId,
        request: ConnectionRequest,
    ) -> Result<ConnectionStatus, Refusal> {
        if driver(&request).is_none() {
            return Err(invalid("connection_info has no driver_volume_type"));
        }
        let known = self.known(id, &request);
        let mut entry = known.lock();
        older_claim(entry.request.epoch, request.epoch)?;
        let is_newer = request.epoch > entry.request.epoch;
        if matches!(entry.phase, Phase::Closing { .. }) {
            self.disconnect(&mut entry)?;
        }
        match &entry.phase {
            Phase::Open { .. } if entry.request.connection_info != request.connection_info => {
                Err(conflict(format!("connection {id} is of another volume")))
            }
            Phase::Open { size_bytes, .. } => {
                let size_bytes = *size_bytes;
                if is_newer {
                    entry.request.epoch = request.epoch;
                    self.save(&entry)?;
                }
                Ok(ConnectionStatus { id, size_bytes })
            }
            Phase::Closed { .. } if !is_newer => {
                Err(conflict(format!("connection {id} was closed")))
            }
            _ => {
                *entry = Entry::new(id, request);
                self.connect(&mut entry)
            }
        }
    }

    /// Disconnects; one that is not known is success.
    pub(crate) fn close(&self, id: ConnectionId, epoch: i64) -> Result<(), Refusal> {
        let Some(known) = self.lock().get(&id).cloned() else {
            return Ok(());
        };
        let mut entry = known.lock();
        older_claim(entry.request.epoch, epoch)?;
        entry.request.epoch = epoch;
        match entry.phase {
            Phase::New | Phase::Closed { .. } => return Ok(()),
            Phase::Closing { .. } => {}
            Phase::Opening | Phase::Open { .. } => {
                entry.phase = Phase::Closing {
                    is_forgotten: false,
                };
                self.save(&entry)?;
            }
        }
        self.disconnect(&mut entry)
    }

    fn connect(&self, entry: &mut Entry) -> Result<ConnectionStatus, Refusal> {
        entry.phase = Phase::Opening;
        let journaled = self.save(entry);
        journaled.inspect_err(|_| entry.phase = Phase::New)?;
        let connected = self.0.brick.connect(&entry.request.connection_info);
        if let Err(error) = &connected
            && matches!(error.kind(), ErrorKind::Setup | ErrorKind::Invalid)
        {
            // Os-brick is not there, or knows no such storage: there is nothing to disconnect.
            self.forget(entry)?;
            return Err(by_storage(error));
        }
        let sized = connected.and_then(|connected| {
            let volume = entry.volume(&connected.path);
            // What is connected must be disconnected with what os-brick told, also if it has no size.
            entry.device_info = Some(connected.device_info);
            volume
                .size_bytes(&self.0.blocks)
                .map(|size| (connected.path, size))
        });
        let saved = match sized {
            Ok((path, size_bytes)) => {
                entry.phase = Phase::Open { path, size_bytes };
                self.save(entry).map(|()| size_bytes)
            }
            Err(error) => Err(by_storage(&error)),
        };
        match saved {
            Ok(size_bytes) => {
                tracing::info!(connection = %entry.id, "is open");
                let id = entry.id;
                Ok(ConnectionStatus { id, size_bytes })
            }
            Err(refusal) => {
                tracing::warn!(connection = %entry.id, "cannot be opened: {refusal}");
                entry.phase = Phase::Closing { is_forgotten: true };
                if let Err(refusal) = self.disconnect(entry) {
                    tracing::error!(connection = %entry.id, "is half open: {refusal}");
                }
                Err(refusal)
            }
        }
    }

    /// Of an entry that is closing.
    fn disconnect(&self, entry: &mut Entry) -> Result<(), Refusal> {
        let (info, device) = (&entry.request.connection_info, &entry.device_info);
        let disconnected = self.0.brick.disconnect(info, device.as_ref());
        disconnected.map_err(|error| {
            let kind = RefusalKind::Unreachable;
            Refusal::new(kind, by_storage(&error).message)
        })?;
        tracing::info!(connection = %entry.id, "is closed");
        if entry.phase == (Phase::Closing { is_forgotten: true }) {
            return self.forget(entry);
        }
        entry.phase = Phase::Closed { at: Utc::now() };
        // Nobody needs the secrets any more.
        entry.request.connection_info = serde_json::Value::Null;
        entry.device_info = None;
        self.save(entry)
    }

    /// It was never open.
    fn forget(&self, entry: &mut Entry) -> Result<(), Refusal> {
        let removed = self.0.journal.remove(entry.id.0);
        removed.map_err(|error| by_journal(&error))?;
        *entry = Entry::new(entry.id, entry.request.clone());
        entry.request.connection_info = serde_json::Value::Null;
        Ok(())
    }

    fn known(&self, id: ConnectionId, request: &ConnectionRequest) -> Known {
        let mut entries = self.lock();
        let new = || Known::new(Entry::new(id, request.clone()));
        entries.entry(id).or_insert_with(new).clone()
    }

    fn save(&self, entry: &Entry) -> Result<(), Refusal> {
        let saved = self.0.journal.save(entry.id.0, entry);
        saved.map_err(|error| by_journal(&error))
    }

    fn all(&self) -> Vec<Known> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Known>> {
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn driver(request: &ConnectionRequest) -> Option<&str> {
    request.connection_info.get("driver_volume_type")?.as_str()
}
