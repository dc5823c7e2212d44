//! The endpoints: a folder a noun, in it a file a verb and `wire.rs` with the contract's shapes.

pub(crate) mod restore;
pub(crate) mod snapshot;
pub(crate) mod trust;
pub(crate) mod version;
pub(crate) mod wire;
pub(crate) mod workload;
pub(crate) mod workload_type;
