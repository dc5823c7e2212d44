//! The rows of Backstay and the only SQL: one schema on MariaDB (Galera) and on SQLite.
//!
//! | where | what |
//! |---|---|
//! | [`Datastore`] | the asynchronous face; methods noun first, one file a noun |
//! | `schema` | tables and columns; the statements that make them: `migrations/{mysql,sqlite}` |
//! | `flow::hold` | how a claim is proved inside a transaction: whatever takes a [`FlowClaim`] is fenced |
//! | `workload::gate` | why two operations on one workload cannot both begin |
//!
//! No decisions are made here but one: whether the rows are in a state that allows the change.
//!
//! [`FlowClaim`]: services_types::FlowClaim

mod column;
mod connection;
mod datastore;
mod error;
mod flow;
mod lease;
mod location;
mod migrate;
mod progress;
mod restore;
mod schema;
mod service;
mod snapshot;
mod trouble;
mod trust;
mod volume_anchor;
mod workload;
mod workload_type;

pub use datastore::Datastore;
pub use error::{Conflict, Error};
pub use flow::{Flow, FlowEvent, FlowSubject};
pub use lease::Lease;
pub use progress::{Progress, Stopped};
pub use restore::{NewRestore, Restore, RestoreFilter, RestoreOutcome, RestoredServer};
pub use service::Service;
pub use snapshot::{
    NewSnapshot, Prune, Rebased, Snapshot, SnapshotFilter, SnapshotOutcome, SnapshotVm,
    Verification,
};
pub use trust::{NewTrust, Trust};
pub use volume_anchor::VolumeAnchor;
pub use workload::{Member, MemberChanges, NewWorkload, Workload, WorkloadChange};
pub use workload_type::WorkloadType;
