//! Snapshots: backups of a workload, in chains of a full one and the incrementals on it.

mod chain;
mod delete;
mod progress;
mod read;
mod request;
mod row;
mod settle;
mod topology;
mod transition;
mod vms;

pub use read::SnapshotFilter;
pub use request::NewSnapshot;
pub use row::Snapshot;
pub use settle::SnapshotOutcome;
pub use vms::SnapshotVm;

pub(crate) use transition::{change, status_of};
