//! Freezing a guest's file systems through its QEMU guest agent, never for longer than a deadline.

use serde::{Deserialize, Serialize};

/// What is asked. The freeze's id is in the address; one server has one freeze at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeRequest {
    /// Claim under which it is asked.
    pub epoch: i64,
    /// Libvirt domain: the server's id, which libvirt knows as the domain's UUID.
    pub server_id: String,
    /// The host thaws by itself when this has passed, also after its own restart.
    pub deadline_seconds: u32,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum FreezeOutcome {
    /// Frozen now; thaws by itself at the deadline.
    Frozen {
        /// How many file systems.
        filesystems: u32,
    },
    /// The guest has no agent that answers, or it cannot freeze: the snapshot will be
    /// crash-consistent. Says why.
    NotPossible {
        /// For the snapshot's warning.
        reason: String,
    },
    /// Not frozen any more. `in_time` is false when the deadline came first: what was snapshot after
    /// that is not consistent.
    Thawed {
        /// The caller's thaw came before the deadline.
        in_time: bool,
    },
}
