//! Guests frozen on our behalf, none of them for longer than its deadline.
//!
//! The journal knows of a freeze before the guest does, and of its end after the guest: whatever
//! happens to this program in between, the guest is thawed when it comes back. Thawing a guest that is
//! not frozen does no harm, so when in doubt it is thawed.

mod entry;
mod patience;
mod virsh;

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_contract::{FreezeOutcome, FreezeRequest, Refusal, RefusalKind};
use chrono::{TimeDelta, Utc};
use entry::{Entry, Phase};
use patience::Patience;
use services_foundation::error_chain::ErrorChain;
use tokio::sync::{Mutex, OwnedMutexGuard};
use uuid::Uuid;
pub(crate) use virsh::Virsh;

use crate::journal::{Journal, JournalError};

const LONGEST_DEADLINE_SECONDS: u32 = 600;
/// An ended freeze is remembered for who asks again.
const KEPT: TimeDelta = TimeDelta::days(1);

/// All freezes of this host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Freezes {
    shared: Arc<Shared>,
}

struct Shared {
    virsh: Virsh,
    journal: Journal,
    entries: Mutex<BTreeMap<Uuid, Known>>,
}

#[derive(Clone)]
struct Known {
    server_id: String,
    /// Locked while its guest is asked.
    entry: Arc<Mutex<Entry>>,
}

impl Known {
    fn new(entry: Entry) -> Self {
        let server_id = entry.request.server_id.clone();
        Self {
            server_id,
            entry: Arc::new(Mutex::new(entry)),
        }
    }

    /// Or just being frozen or thawed.
    fn may_be_frozen(&self) -> bool {
        self.entry
            .try_lock()
            .map_or(true, |entry| entry.may_be_frozen())
    }
}

impl Freezes {
    /// Takes up what the journal holds: thaws what is overdue, and the rest at its deadline. Must be
    /// called inside a tokio runtime.
    pub(crate) fn load(journal: Journal, virsh: Virsh) -> Result<Self, JournalError> {
        let mut entries = BTreeMap::new();
        for (id, entry) in journal.load::<Entry>()? {
            if !entry.may_be_frozen() && entry.deadline_at < Utc::now() - KEPT {
                journal.remove(id)?;
                continue;
            }
            entries.insert(id, Known::new(entry));
        }
        let known: Vec<_> = entries.keys().copied().collect();
        let shared = Shared {
            virsh,
            journal,
            entries: Mutex::new(entries),
        };
        let freezes = Self {
            shared: Arc::new(shared),
        };
        for id in known {
            tokio::spawn(freezes.clone().thaw_at_deadline(id));
        }
        Ok(freezes)
    }

    /// Freezes, or tells how the freeze of this id stands.
    pub(crate) async fn start(
        &self,
        id: Uuid,
        request: FreezeRequest,
    ) -> Result<FreezeOutcome, Refusal> {
        check(&request)?;
        let (mut entry, is_new) = self.entry(id, &request).await?;
        if !is_new {
            return self.again(&mut entry, id, &request);
        }
        // Whoever asks may go away; the guest's fate must not depend on it.
        let freezes = self.clone();
        let freezing = tokio::spawn(async move { freezes.freeze(id, &mut entry).await });
        match freezing.await {
            Ok(result) => result,
            Err(_) => Err(Refusal::new(
                RefusalKind::Internal,
                "the freeze ended without a word",
            )),
        }
    }

    /// Thaws. A freeze that is not known can vouch for nothing: it is told to have come too late.
    pub(crate) async fn end(&self, id: Uuid) -> Result<FreezeOutcome, Refusal> {
        let entry = self.shared.entries.lock().await.get(&id).cloned();
        let Some(known) = entry else {
            return Ok(FreezeOutcome::Thawed { in_time: false });
        };
        let mut entry = known.entry.lock().await;
        if let Phase::Ended { outcome } = &entry.phase {
            return Ok(outcome.clone());
        }
        let in_time = Utc::now() <= entry.deadline_at;
        let domain = entry.request.server_id.clone();
        if let Err(error) = self.shared.virsh.thaw(&domain).await {
            tracing::error!(server = domain, "cannot be thawed: {}", ErrorChain(&error));
            let message = format!("the guest cannot be thawed: {}", ErrorChain(&error));
            return Err(Refusal::new(RefusalKind::Unreachable, message));
        }
        let in_time = in_time && Utc::now() <= entry.deadline_at;
        Ok(self.ended(id, &mut entry, FreezeOutcome::Thawed { in_time }))
    }

    /// The entry of this id, or a new one, unless the server is frozen under another. It is locked
    /// before anybody else can see it.
    async fn entry(
        &self,
        id: Uuid,
        request: &FreezeRequest,
    ) -> Result<(OwnedMutexGuard<Entry>, bool), Refusal> {
        let mut entries = self.shared.entries.lock().await;
        if let Some(known) = entries.get(&id) {
            let entry = known.entry.clone();
            drop(entries);
            return Ok((entry.lock_owned().await, false));
        }
        let is_same = |known: &Known| known.server_id == request.server_id;
        let others = entries.iter().filter(|(_, known)| is_same(known));
        if let Some((other, _)) = others.into_iter().find(|(_, known)| known.may_be_frozen()) {
            let message = format!("the server is frozen by {other}");
            return Err(Refusal::new(RefusalKind::Conflict, message));
        }
        let known = Known::new(Entry::new(request.clone(), Utc::now()));
        let entry = known.entry.clone().lock_owned().await;
        entries.insert(id, known);
        Ok((entry, true))
    }

    fn again(
        &self,
        entry: &mut Entry,
        id: Uuid,
        request: &FreezeRequest,
    ) -> Result<FreezeOutcome, Refusal> {
        if request.epoch < entry.request.epoch {
            let message = format!("epoch {} has taken over", entry.request.epoch);
            return Err(Refusal::new(RefusalKind::Fenced, message));
        }
        if request.server_id != entry.request.server_id {
            let message = format!("freeze {id} is of another server");
            return Err(Refusal::new(RefusalKind::Conflict, message));
        }
        if request.epoch > entry.request.epoch {
            entry.request.epoch = request.epoch;
            self.save(id, entry)?;
        }
        Ok(match &entry.phase {
            Phase::Frozen { filesystems } => FreezeOutcome::Frozen {
                filesystems: *filesystems,
            },
            Phase::Ended { outcome } => outcome.clone(),
            // Interrupted by a restart: it is being thawed.
            Phase::Freezing => FreezeOutcome::Thawed { in_time: false },
        })
    }

    async fn freeze(&self, id: Uuid, entry: &mut Entry) -> Result<FreezeOutcome, Refusal> {
        let domain = entry.request.server_id.clone();
        let virsh = &self.shared.virsh;
        if let Err(error) = virsh.ping(&domain).await {
            let reason = format!("the guest agent does not answer: {}", ErrorChain(&error));
            return Ok(self.ended(id, entry, FreezeOutcome::NotPossible { reason }));
        }
        if let Err(refusal) = self.save(id, entry) {
            self.shared.entries.lock().await.remove(&id);
            return Err(refusal);
        }
        tokio::spawn(self.clone().thaw_at_deadline(id));
        match virsh.freeze(&domain).await {
            Ok(filesystems) => {
                tracing::info!(server = domain, filesystems, "is frozen");
                entry.phase = Phase::Frozen { filesystems };
                // The journal knows enough already if this fails.
                if let Err(refusal) = self.save(id, entry) {
                    tracing::warn!("{refusal}");
                }
                Ok(FreezeOutcome::Frozen { filesystems })
            }
            Err(error) => {
                let reason = format!("the guest did not freeze: {}", ErrorChain(&error));
                tracing::warn!(server = domain, "{reason}");
                // It may do so late: what may be frozen is thawed, at the deadline again.
                match virsh.thaw(&domain).await {
                    Ok(_) => Ok(self.ended(id, entry, FreezeOutcome::NotPossible { reason })),
                    Err(_) => Ok(FreezeOutcome::NotPossible { reason }),
                }
            }
        }
    }

    async fn thaw_at_deadline(self, id: Uuid) {
        let entry = self.shared.entries.lock().await.get(&id).cloned();
        let Some(Known { entry, .. }) = entry else {
            return;
        };
        let deadline_at = {
            let entry = entry.lock().await;
            entry.deadline_at
        };
        let left = deadline_at.signed_duration_since(Utc::now()).to_std();
        tokio::time::sleep(left.unwrap_or_default()).await;
        let mut patience = Patience::default();
        loop {
            let mut entry = entry.lock().await;
            if !entry.may_be_frozen() {
                return;
            }
            let domain = entry.request.server_id.clone();
            match self.shared.virsh.thaw(&domain).await {
                Ok(_) => {
                    tracing::warn!(server = domain, "was thawed at its deadline");
                    self.ended(id, &mut entry, FreezeOutcome::Thawed { in_time: false });
                    return;
                }
                Err(error) => {
                    tracing::error!(server = domain, "cannot be thawed: {}", ErrorChain(&error));
                    let Some(pause) = patience.after(&error) else {
                        tracing::error!(server = domain, "is given up");
                        self.ended(id, &mut entry, FreezeOutcome::Thawed { in_time: false });
                        return;
                    };
                    drop(entry);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn ended(&self, id: Uuid, entry: &mut Entry, outcome: FreezeOutcome) -> FreezeOutcome {
        entry.phase = Phase::Ended {
            outcome: outcome.clone(),
        };
        // After a restart it is thawed once more, which does no harm.
        if let Err(refusal) = self.save(id, entry) {
            tracing::warn!("{refusal}");
        }
        outcome
    }

    fn save(&self, id: Uuid, entry: &Entry) -> Result<(), Refusal> {
        self.shared
            .journal
            .save(id, entry)
            .map_err(|error| Refusal::new(RefusalKind::Internal, ErrorChain(&error).to_string()))
    }
}

fn check(request: &FreezeRequest) -> Result<(), Refusal> {
    let invalid = |why| Err(Refusal::new(RefusalKind::Invalid, why));
    if request.server_id.parse::<Uuid>().is_err() {
        return invalid("server_id is no UUID");
    }
    match request.deadline_seconds {
        0 => invalid("the deadline must be at least a second away"),
        seconds if seconds > LONGEST_DEADLINE_SECONDS => invalid("nobody is frozen for so long"),
        _ => Ok(()),
    }
}
