//! What a snapshot can be.

use crate::contract_words;

contract_words! {
    /// State of a snapshot.
    SnapshotStatus, "snapshot status" {
        /// Asked for; no engine has begun.
        Creating = "creating",
        /// An engine works on it, no disk data moves yet.
        Executing = "executing",
        /// Disk data moves.
        Uploading = "uploading",
        /// Complete: manifest written, restorable.
        Available = "available",
        /// It failed; `error_msg` says why.
        Error = "error",
        /// Its owner stopped it.
        Cancelled = "cancelled",
        /// A restore reads it.
        Restoring = "restoring",
        /// Its images are read and compared with what was written.
        Verifying = "verifying",
        /// Its deletion is under way.
        Deleting = "deleting",
        /// Gone; the row is kept.
        Deleted = "deleted",
    }
}

contract_words! {
    /// How much of the disks a snapshot's own images hold.
    SnapshotType, "snapshot type" {
        /// Everything allocated.
        Full = "full",
        /// What changed since the snapshot before.
        Incremental = "incremental",
    }
}

impl SnapshotStatus {
    /// Whether a snapshot may go from this state to `next`.
    pub fn can_become(self, next: Self) -> bool {
        use SnapshotStatus::{
            Available, Cancelled, Creating, Deleted, Deleting, Error, Executing, Restoring,
            Uploading, Verifying,
        };
        matches!(
            (self, next),
            (Creating, Executing | Error | Cancelled)
                | (Executing, Uploading | Error | Cancelled)
                | (Uploading, Available | Error | Cancelled)
                | (Available, Restoring | Verifying | Deleting)
                | (Restoring | Verifying, Available)
                | (Error | Cancelled, Deleting)
                | (Deleting, Deleted | Available | Error)
        )
    }

    /// Whether work on it has ended, well or not.
    pub fn is_settled(self) -> bool {
        !matches!(
            self,
            Self::Creating
                | Self::Executing
                | Self::Uploading
                | Self::Restoring
                | Self::Verifying
                | Self::Deleting
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_snapshot_can_be_restored() {
        for from in [
            SnapshotStatus::Creating,
            SnapshotStatus::Uploading,
            SnapshotStatus::Error,
            SnapshotStatus::Deleted,
        ] {
            assert!(!from.can_become(SnapshotStatus::Restoring), "{from}");
        }
        assert!(SnapshotStatus::Available.can_become(SnapshotStatus::Restoring));
    }
}
