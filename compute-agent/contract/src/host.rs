//! Which datamovers are there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A datamover, as it last told of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// The nova-compute host it serves.
    pub host: String,
    /// Program version.
    pub version: String,
    /// Heard from lately.
    pub is_alive: bool,
    /// When it was heard from.
    pub last_heard_at: DateTime<Utc>,
    /// Ids of the targets in its configuration that it can write to now.
    pub targets: Vec<String>,
    /// Transfers queued or running.
    pub active_transfers: u32,
}
