//! What a workload can be.

use crate::contract_words;

contract_words! {
    /// State of a workload. `Locked` while a flow works on it.
    WorkloadStatus, "workload status" {
        /// The row exists, members are being recorded.
        Creating = "creating",
        /// At rest: snapshots and restores may start.
        Available = "available",
        /// A snapshot, a restore or a deletion is under way.
        Locked = "locked",
        /// It could not be made, or an operator must look at it.
        Error = "error",
        /// Its deletion is under way.
        Deleting = "deleting",
        /// Gone; the row is kept.
        Deleted = "deleted",
    }
}

impl WorkloadStatus {
    /// Whether a workload may go from this state to `next`.
    pub fn can_become(self, next: Self) -> bool {
        use WorkloadStatus::{Available, Creating, Deleted, Deleting, Error, Locked};
        matches!(
            (self, next),
            (Creating, Available | Error)
                | (Available, Locked | Deleting | Error)
                | (Locked, Available | Error)
                | (Error, Available | Deleting)
                | (Deleting, Deleted | Error)
        )
    }
}

/// Built-in workload type "Serial": members are snapshotted in the order in which they were added.
pub const SERIAL: &str = "f82ce76f-17fe-438b-aa37-7a023058e50d";
/// Built-in workload type "Parallel": members are snapshotted in any order.
pub const PARALLEL: &str = "2ddd528d-c9b4-4d7e-8722-cc395140255a";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_workload_stays_deleted() {
        for next in [
            WorkloadStatus::Available,
            WorkloadStatus::Locked,
            WorkloadStatus::Error,
        ] {
            assert!(!WorkloadStatus::Deleted.can_become(next));
        }
    }

    #[test]
    fn words_read_back_as_what_wrote_them() {
        for status in [
            WorkloadStatus::Creating,
            WorkloadStatus::Locked,
            WorkloadStatus::Deleted,
        ] {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("sleeping".parse::<WorkloadStatus>().is_err());
    }
}
