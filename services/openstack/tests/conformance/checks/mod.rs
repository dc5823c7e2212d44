//! The checks, a file a port.

pub(crate) mod block_storage;
pub(crate) mod compute;
pub(crate) mod identity;
pub(crate) mod images;
pub(crate) mod network;
