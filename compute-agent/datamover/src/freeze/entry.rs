use agent_contract::{FreezeOutcome, FreezeRequest};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// What the journal holds of a freeze.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) request: FreezeRequest,
    /// By the clock on the wall: it must hold over a restart.
    pub(crate) deadline_at: DateTime<Utc>,
    pub(crate) phase: Phase,
}

/// Where a freeze stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    /// The guest is asked; it may be frozen already.
    Freezing,
    /// It is frozen.
    Frozen { filesystems: u32 },
    /// It is not frozen any more, or never was.
    Ended { outcome: FreezeOutcome },
}

impl Entry {
    pub(crate) fn new(request: FreezeRequest, now: DateTime<Utc>) -> Self {
        let deadline_at = now + TimeDelta::seconds(request.deadline_seconds.into());
        Self {
            request,
            deadline_at,
            phase: Phase::Freezing,
        }
    }

    /// The guest is, or may be, frozen on our behalf.
    pub(crate) fn may_be_frozen(&self) -> bool {
        !matches!(self.phase, Phase::Ended { .. })
    }
}
