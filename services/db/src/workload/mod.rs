//! Workloads: which servers are protected together, and whether something works on them.

mod create;
mod delete;
mod gate;
mod lock;
mod members;
mod metadata;
mod read;
mod row;
mod state;
mod update;

pub use create::NewWorkload;
pub use members::{Member, MemberChanges};
pub use row::Workload;
pub use update::WorkloadChange;

pub(crate) use gate::{gate, refuse_unless_idle};
pub(crate) use lock::unlock;
pub(crate) use members::{drop_member, put_member};
