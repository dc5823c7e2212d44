//! Flows: what was asked for, who works on it, and how far it came.
//!
//! A flow is written in the same transaction as the row that it works on. An engine claims it for the
//! length of a lease; each claim raises the epoch. Whatever is then written in the name of the claim first
//! writes the flow's row under that epoch, in the same transaction ([`hold`]), so that an engine that
//! was overtaken changes nothing (D10), on Galera neither.

mod cancel;
mod claim;
mod event;
mod hold;
mod read;
mod request;

pub use cancel::FlowSubject;
pub use read::{Flow, FlowEvent};

pub(crate) use hold::{
    hold, restore_of, snapshot_deleted_by, snapshot_made_by, snapshot_verified_by,
    workload_deleted_by,
};
pub(crate) use request::request;
