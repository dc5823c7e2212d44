//! All transfers of this host.
//!
//! | asked with | of a transfer that is | becomes |
//! |---|---|---|
//! | an older epoch | anything | refused: fenced |
//! | another job | anything | refused: conflict |
//! | the same job | queued, running, done | the same transfer, under the newer epoch |
//! | the same job | being cancelled | refused for now: ask again |
//! | the same job | failed | queued, goes on from its checkpoint |
//! | the same job, a newer epoch | cancelled | queued, from the beginning |
//!
//! The journal holds every change before it is answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agent_contract::{
    Refusal, RefusalKind, TransferId, TransferRequest, TransferState, TransferStatus,
};
use chrono::{TimeDelta, Utc};
use services_foundation::error_chain::ErrorChain;

use super::entry::{Entry, Work, check_job};
use super::run::Host;
use super::ticket::{Interrupted, Ticket};
use crate::journal::JournalError;

/// Ended transfers are remembered this long: an engine that was away must find their outcome.
const KEPT: TimeDelta = TimeDelta::days(7);
/// A cancelled transfer notices within one read or write; it is asked again if not.
const CANCEL_PATIENCE: Duration = Duration::from_secs(12);

pub(crate) struct Transfers {
    pub(super) host: Host,
    slots: Mutex<Slots>,
    /// Something was queued, or a worker let go of something, or all shall end.
    changed: Condvar,
}

#[derive(Default)]
struct Slots {
    by_id: BTreeMap<TransferId, Slot>,
    is_stopping: bool,
}

struct Slot {
    entry: Entry,
    ticket: Arc<Ticket>,
    /// A worker is at it.
    is_held: bool,
    /// What it made is being removed, by whoever holds it.
    is_dropped: bool,
}

impl Slot {
    fn new(entry: Entry) -> Self {
        let ticket = Arc::new(Ticket::of(entry.progress));
        Self {
            entry,
            ticket,
            is_held: false,
            is_dropped: false,
        }
    }

    fn is_being_cancelled(&self) -> bool {
        self.is_dropped || self.is_held && self.ticket.check() == Err(Interrupted::Cancelled)
    }

    fn status(&self) -> TransferStatus {
        TransferStatus {
            id: self.entry.id,
            epoch: self.entry.epoch,
            state: self.entry.state.clone(),
            progress: self.ticket.progress(),
        }
    }
}

impl Transfers {
    /// What the journal holds; what was under way is queued again.
    pub(crate) fn load(host: Host) -> Result<Self, JournalError> {
        let mut slots = Slots::default();
        for (_, mut entry) in host.journal.load::<Entry>()? {
            if entry.is_active() {
                tracing::info!(transfer = %entry.id, "goes on after a restart");
                entry.state = TransferState::Queued;
            }
            slots.by_id.insert(entry.id, Slot::new(entry));
        }
        let transfers = Self {
            host,
            slots: Mutex::new(slots),
            changed: Condvar::new(),
        };
        transfers.prune();
        Ok(transfers)
    }

    /// Forgets what ended long ago.
    pub(crate) fn prune(&self) {
        let limit = Utc::now() - KEPT;
        let mut slots = self.lock();
        slots.by_id.retain(|id, slot| {
            if slot.entry.is_active() || slot.entry.changed_at > limit {
                return true;
            }
            // A failed one may have a plan yet; the entry goes last, without it nobody finds the plan.
            let plan = self.host.plan_path(*id);
            let removed = self.host.journal.remove_file(&plan);
            let removed = removed.and_then(|()| self.host.journal.remove(id.0));
            if let Err(error) = &removed {
                tracing::warn!(transfer = %id, "cannot be forgotten: {}", ErrorChain(error));
            }
            removed.is_err()
        });
    }

    pub(crate) fn active(&self) -> usize {
        self.lock()
            .by_id
            .values()
            .filter(|slot| slot.entry.is_active())
            .count()
    }

    pub(crate) fn start(
        &self,
        id: TransferId,
        request: TransferRequest,
    ) -> Result<TransferStatus, Refusal> {
        let mut slots = self.lock();
        let Some(slot) = slots.by_id.get_mut(&id) else {
            let TransferRequest { epoch, job } = request;
            let checked = check_job(&job, &self.host.targets, &self.host.disks);
            checked.map_err(|why| Refusal::new(RefusalKind::Invalid, why))?;
            let slot = Slot::new(Entry::new(id, epoch, job));
            self.save(&slot.entry)?;
            let status = slot.status();
            slots.by_id.insert(id, slot);
            self.changed.notify_all();
            return Ok(status);
        };
        fence(&slot.entry, request.epoch)?;
        if slot.entry.job != request.job {
            let message = format!("transfer {id} is another job");
            return Err(Refusal::new(RefusalKind::Conflict, message));
        }
        if slot.is_being_cancelled() {
            // To answer that it runs, or is done, would be a lie in a moment.
            let message = format!("transfer {id} is still being stopped; ask again");
            return Err(Refusal::new(RefusalKind::Unreachable, message));
        }
        let is_newer = request.epoch > slot.entry.epoch;
        let is_retried = match slot.entry.state {
            TransferState::Failed { .. } => true,
            TransferState::Cancelled => is_newer,
            _ => false,
        };
        if is_newer || is_retried {
            let mut entry = slot.entry.clone();
            entry.epoch = request.epoch;
            if is_retried {
                if entry.state == TransferState::Cancelled {
                    (entry.work, entry.progress) = (None, Default::default());
                }
                entry.state = TransferState::Queued;
            }
            self.save(&entry)?;
            slot.entry = entry;
            if is_retried {
                slot.ticket = Arc::new(Ticket::of(slot.entry.progress));
                self.changed.notify_all();
            }
        }
        Ok(slot.status())
    }

    pub(crate) fn show(&self, id: TransferId) -> Result<TransferStatus, Refusal> {
        self.lock()
            .by_id
            .get(&id)
            .map(Slot::status)
            .ok_or_else(|| unknown(id))
    }

    /// Blocks until what the transfer made is gone.
    pub(crate) fn cancel(&self, id: TransferId, epoch: i64) -> Result<TransferStatus, Refusal> {
        let deadline = Instant::now() + CANCEL_PATIENCE;
        let mut slots = self.lock();
        loop {
            let slot = slots.by_id.get_mut(&id).ok_or_else(|| unknown(id))?;
            fence(&slot.entry, epoch)?;
            if slot.entry.state == TransferState::Cancelled {
                return Ok(slot.status());
            }
            if !slot.is_held {
                break;
            }
            slot.ticket.interrupt(Interrupted::Cancelled);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("transfer {id} is still being stopped; ask again");
                return Err(Refusal::new(RefusalKind::Unreachable, message));
            }
            let waited = self.changed.wait_timeout(slots, left);
            slots = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.drop_unheld(slots, id, epoch)
    }

    /// Queued or ended: nobody else touches what it made while we hold it.
    fn drop_unheld(
        &self,
        mut slots: MutexGuard<'_, Slots>,
        id: TransferId,
        epoch: i64,
    ) -> Result<TransferStatus, Refusal> {
        let slot = slots.by_id.get_mut(&id).ok_or_else(|| unknown(id))?;
        (slot.is_held, slot.is_dropped) = (true, true);
        let job = slot.entry.job.clone();
        drop(slots);
        let dropped = self.host.drop_results(&job);
        let mut slots = self.lock();
        let slot = slots.by_id.get_mut(&id).ok_or_else(|| unknown(id))?;
        (slot.is_held, slot.is_dropped) = (false, false);
        self.changed.notify_all();
        if let Err(error) = dropped {
            let kind = RefusalKind::Unreachable;
            return Err(Refusal::new(kind, ErrorChain(&error).to_string()));
        }
        let mut entry = slot.entry.clone();
        entry.epoch = entry.epoch.max(epoch);
        (entry.state, entry.work) = (TransferState::Cancelled, None);
        self.save(&entry)?;
        slot.entry = entry;
        self.forget_plan(id);
        Ok(slot.status())
    }

    /// Nobody goes on with it.
    fn forget_plan(&self, id: TransferId) {
        let removed = self.host.journal.remove_file(&self.host.plan_path(id));
        if let Err(error) = removed {
            tracing::warn!(transfer = %id, "{}", ErrorChain(&error));
        }
    }

    /// Lets all workers end soon; what they are at is kept to be gone on with.
    pub(crate) fn stop(&self) {
        let mut slots = self.lock();
        slots.is_stopping = true;
        for slot in slots.by_id.values() {
            slot.ticket.interrupt(Interrupted::Stopping);
        }
        self.changed.notify_all();
    }

    /// Waits for something to do; none when the program ends.
    pub(super) fn take(&self) -> Option<(Entry, Arc<Ticket>)> {
        let mut slots = self.lock();
        loop {
            if slots.is_stopping {
                return None;
            }
            let queued = slots.by_id.values_mut().filter(|slot| !slot.is_held);
            let queued = queued.filter(|slot| slot.entry.state == TransferState::Queued);
            if let Some(slot) = queued.min_by_key(|slot| slot.entry.changed_at) {
                slot.is_held = true;
                slot.entry.state = TransferState::Running;
                return Some((slot.entry.clone(), slot.ticket.clone()));
            }
            slots = self
                .changed
                .wait(slots)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Where a transfer under way stands, under whatever epoch it has by now.
    pub(super) fn keep(&self, id: TransferId, work: Work) -> Result<(), JournalError> {
        self.change(id, |entry| entry.work = Some(work))
    }

    /// The worker is done with it.
    pub(super) fn release(&self, id: TransferId, state: TransferState) {
        let drop_work = matches!(state, TransferState::Done(_) | TransferState::Cancelled);
        let saved = self.change(id, |entry| {
            entry.state = state;
            if drop_work {
                entry.work = None;
            }
        });
        if let Err(error) = saved {
            // It is told of nevertheless; after a restart it is carried out again.
            tracing::error!(transfer = %id, "how it ended is not on disk: {}", ErrorChain(&error));
        } else if drop_work {
            self.forget_plan(id);
        }
        if let Some(slot) = self.lock().by_id.get_mut(&id) {
            slot.is_held = false;
        }
        self.changed.notify_all();
    }

    fn change(&self, id: TransferId, change: impl FnOnce(&mut Entry)) -> Result<(), JournalError> {
        let mut slots = self.lock();
        let Some(slot) = slots.by_id.get_mut(&id) else {
            return Ok(());
        };
        change(&mut slot.entry);
        slot.entry.progress = slot.ticket.progress();
        slot.entry.changed_at = Utc::now();
        self.host.journal.save(id.0, &slot.entry)
    }

    fn save(&self, entry: &Entry) -> Result<(), Refusal> {
        self.host.journal.save(entry.id.0, entry).map_err(|error| {
            tracing::error!("{}", ErrorChain(&error));
            Refusal::new(RefusalKind::Internal, ErrorChain(&error).to_string())
        })
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fence(entry: &Entry, epoch: i64) -> Result<(), Refusal> {
    if epoch >= entry.epoch {
        return Ok(());
    }
    let message = format!(
        "epoch {} has taken transfer {} over from {epoch}",
        entry.epoch, entry.id
    );
    Err(Refusal::new(RefusalKind::Fenced, message))
}

fn unknown(id: TransferId) -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        format!("there is no transfer {id} on this host"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent_contract::{RefusalKind, RemoveJob, TransferJob, TransferRequest, TransferState};

    use super::Transfers;
    use crate::transfer::test_host::{host, image};

    /// The older engine's cancellation must not turn what the newer one was told into a lie.
    #[test]
    fn what_is_being_cancelled_is_not_taken_up_before_it_is_gone() {
        let test_host = host();
        let transfers = Transfers::load(test_host.host).unwrap();
        let id = agent_contract::TransferId(uuid::Uuid::new_v4());
        let request = |epoch| TransferRequest {
            epoch,
            job: TransferJob::Remove(RemoveJob { image: image("a") }),
        };
        transfers.start(id, request(1)).unwrap();
        let (_, ticket) = transfers.take().unwrap();
        std::thread::scope(|scope| {
            let cancelling = scope.spawn(|| transfers.cancel(id, 1));
            while ticket.check().is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let refused = transfers.start(id, request(2)).unwrap_err();
            assert_eq!(refused.kind, RefusalKind::Unreachable);
            transfers.release(id, TransferState::Cancelled);
            cancelling.join().unwrap().unwrap();
        });
        let again = transfers.start(id, request(2)).unwrap();
        assert_eq!((again.state, again.epoch), (TransferState::Queued, 2));
    }
}
