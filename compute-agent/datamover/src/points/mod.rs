//! Points in time of the disks that Nova keeps for a server.
//!
//! ```text
//!   disk in Ceph          a snapshot of the image, gone with the point
//!   guest runs            one libvirt backup job for all its disks; bitmaps tell the changes
//!   guest is stopped      its files; a transfer fails if it is started before the last byte is read
//! ```
//! The journal knows of a part before it is made, and until it is gone: whatever happens to this
//! program, nothing is left in tenants' guests. A point that stood when the program ended stands when
//! it is back; one that was half taken is undone.
//!
//! | file | |
//! |---|---|
//! | `entry`, `ledger` | what the journals hold: points; the records of changes on a server's disks |
//! | `take`, `live`, `still` | taking one; its parts on a running guest and on a stopped one |
//! | `end`, `sweep` | ending one; removing records of changes that nobody needs |
//! | `source` | its disks, to be read |
//! | `keeper` | ends what nobody ended, and what the host has no room for |

mod end;
mod entry;
mod keeper;
mod ledger;
mod live;
mod source;
mod stamp;
mod still;
mod sweep;
mod take;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_contract::{PointEnd, PointId, PointRequest, PointStatus, Refusal, RefusalKind};
use chrono::{TimeDelta, Utc};
use entry::{End, Entry, Phase};
use uuid::Uuid;

use crate::journal::{Journal, JournalError};
use crate::refused::{by_journal, conflict, invalid, older_claim};
use crate::server_disks::Servers;
use crate::settings::PointSettings;

/// An ended point is remembered for who asks again.
const KEPT: TimeDelta = TimeDelta::days(1);
/// Of our snapshots and marks, so that everybody sees whose they are.
const PREFIX: &str = "backstay-";

/// All points of this host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Points(Arc<Shared>);

struct Shared {
    servers: Servers,
    settings: PointSettings,
    journal: Journal,
    ledgers: Journal,
    entries: Mutex<BTreeMap<PointId, Known>>,
}

#[derive(Clone)]
struct Known {
    server_id: Uuid,
    /// Locked while its parts are made or removed.
    entry: Arc<Mutex<Entry>>,
}

impl Known {
    fn new(entry: Entry) -> Self {
        Self {
            server_id: entry.request.server_id,
            entry: Arc::new(Mutex::new(entry)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Or just being taken or ended.
    fn may_be_active(&self) -> bool {
        self.entry
            .try_lock()
            .map_or(true, |entry| entry.is_active())
    }
}

impl Points {
    /// Takes up what the journal holds.
    pub(crate) fn load(
        servers: Servers,
        settings: PointSettings,
        journal: Journal,
        ledgers: Journal,
    ) -> Result<Self, JournalError> {
        let mut entries = BTreeMap::new();
        for (_, mut entry) in journal.load::<Entry>()? {
            if entry.phase == Phase::Taking {
                let end = End {
                    kept: None,
                    why: "it was interrupted while it was taken".to_owned(),
                    is_forgotten: true,
                };
                entry.phase = Phase::Ending { end };
            }
            entries.insert(entry.id, Known::new(entry));
        }
        let points = Self(Arc::new(Shared {
            servers,
            settings,
            journal,
            ledgers,
            entries: Mutex::new(entries),
        }));
        Ok(points)
    }

    /// Takes the point, or tells of it if it is taken.
    pub(crate) fn take(&self, id: PointId, request: PointRequest) -> Result<PointStatus, Refusal> {
        check(&request)?;
        let known = self.known(id, &request)?;
        let mut entry = known.lock();
        older_claim(entry.request.epoch, request.epoch)?;
        if !entry.is_same(&request) {
            return Err(conflict(format!("point {id} is of other disks")));
        }
        let is_newer = request.epoch > entry.request.epoch;
        entry.request.epoch = request.epoch;
        if let Phase::Ending { end } = entry.phase.clone() {
            self.finish(&mut entry, &end)?;
        }
        match &entry.phase {
            Phase::Taken { disks } => {
                let status = entry.status(disks);
                if is_newer {
                    self.save(&entry)?;
                }
                self.check_job(&entry)?;
                Ok(status)
            }
            // Never taken again: a transfer that was interrupted would go on with another moment.
            Phase::Ended { why, .. } => Err(conflict(format!("point {id} has ended: {why}"))),
            _ => {
                *entry = Entry::new(id, request);
                self.take_anew(&mut entry)
            }
        }
    }

    /// Ends it; one that is not known is success.
    pub(crate) fn end(&self, id: PointId, end: PointEnd) -> Result<(), Refusal> {
        let Some(known) = self.lock().get(&id).cloned() else {
            return Ok(());
        };
        let mut entry = known.lock();
        older_claim(entry.request.epoch, end.epoch)?;
        entry.request.epoch = end.epoch;
        let why = "its backup is over";
        self.end_entry(&mut entry, end.keep_marks, why)
    }

    /// The entry of this id, or a new one, unless the server has another point.
    fn known(&self, id: PointId, request: &PointRequest) -> Result<Known, Refusal> {
        let mut entries = self.lock();
        if let Some(known) = entries.get(&id) {
            return Ok(known.clone());
        }
        let of_server = entries
            .iter()
            .filter(|(_, known)| known.server_id == request.server_id);
        let mut of_server = of_server.into_iter();
        if let Some((other, _)) = of_server.find(|(_, known)| known.may_be_active()) {
            return Err(conflict(format!("the server has point {other} already")));
        }
        let known = Known::new(Entry::new(id, request.clone()));
        entries.insert(id, known.clone());
        Ok(known)
    }

    fn save(&self, entry: &Entry) -> Result<(), Refusal> {
        let saved = self.0.journal.save(entry.id.0, entry);
        saved.map_err(|error| by_journal(&error))
    }

    fn all(&self) -> Vec<Known> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PointId, Known>> {
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what ended long ago.
    fn prune(&self) -> Result<(), JournalError> {
        let limit = Utc::now() - KEPT;
        let mut removed = Ok(());
        self.lock().retain(|id, known| {
            let Ok(entry) = known.entry.try_lock() else {
                return true;
            };
            match &entry.phase {
                // Somebody may be about to take it.
                Phase::New => return Arc::strong_count(&known.entry) > 1,
                Phase::Ended { at, .. } if *at < limit => {}
                _ => return true,
            }
            removed = self.0.journal.remove(id.0);
            removed.is_err()
        });
        removed
    }
}

fn check(request: &PointRequest) -> Result<(), Refusal> {
    if request.disks.is_empty() {
        return Err(invalid("a point of no disk"));
    }
    let mut devices: Vec<_> = request.disks.iter().map(|disk| &disk.device).collect();
    devices.sort();
    devices.dedup();
    if devices.len() < request.disks.len() {
        return Err(invalid("a disk is asked for twice"));
    }
    Ok(())
}

fn lost(why: &str) -> Refusal {
    Refusal::new(RefusalKind::Conflict, format!("the point is lost: {why}"))
}
