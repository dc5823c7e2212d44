//! What a restore can be, and what its owner can ask of it.

use serde::{Deserialize, Serialize};

use crate::contract_words;

contract_words! {
    /// State of a restore.
    RestoreStatus, "restore status" {
        /// Asked for; no engine has begun.
        Creating = "creating",
        /// Under way.
        Restoring = "restoring",
        /// Everything it was to make stands in the project.
        Available = "available",
        /// It failed and took back what it had made; `error_msg` says why.
        Error = "error",
        /// Its owner stopped it.
        Cancelled = "cancelled",
        /// The record was deleted; what was restored stays.
        Deleted = "deleted",
    }
}

contract_words! {
    /// What is made of a snapshot.
    RestoreKind, "kind of restore" {
        /// All servers anew, on their original networks.
        OneClick = "oneclick",
    }
}

impl RestoreStatus {
    /// Whether a restore may go from this state to `next`.
    pub fn can_become(self, next: Self) -> bool {
        use RestoreStatus::{Available, Cancelled, Creating, Deleted, Error, Restoring};
        matches!(
            (self, next),
            (Creating, Restoring | Error | Cancelled)
                | (Restoring, Available | Error | Cancelled)
                | (Available | Error | Cancelled, Deleted)
        )
    }

    /// Whether work on it has ended, well or not.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Creating | Self::Restoring)
    }
}

/// What the owner asked for, in our own words; `services-api` reads it out of the contract's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOptions {
    /// Which kind of restore.
    pub kind: RestoreKind,
}
