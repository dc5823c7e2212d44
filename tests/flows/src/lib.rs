//! Flows as they run in service: the real engine, the real datamover, a real database and a real
//! directory as target; the cloud is the fake one, whose volumes are files.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's own tools may panic"
)]

mod connections;
mod datamover;
mod site;
mod tenant;

pub use datamover::LocalDatamover;
pub use site::{Site, SiteOptions, wait_until};
pub use tenant::{ServerSpec, Tenant, digest, write_pattern};
