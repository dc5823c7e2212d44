//! Snapshots: backups of a workload, in chains of a full one and the incrementals on it.

mod chain;
mod delete;
mod progress;
mod prune;
mod read;
mod rebase;
mod request;
mod row;
mod settle;
mod topology;
mod transition;
mod verify;
mod vms;

pub use prune::Prune;
pub use read::SnapshotFilter;
pub use rebase::Rebased;
pub use request::NewSnapshot;
pub use row::Snapshot;
pub use settle::SnapshotOutcome;
pub use verify::Verification;
pub use vms::SnapshotVm;

pub(crate) use transition::{change, status_of};
