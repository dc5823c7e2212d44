//! Flows as they run in service: the real engine, the real datamover, a real database and a real
//! directory as target; the cloud is the fake one, whose volumes are files. `processes` has the same as the
//! programs that an operator starts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's own tools may panic"
)]

mod api;
mod connections;
mod datamover;
mod model;
mod objects;
pub mod processes;
mod site;
mod stand_in;
mod tenant;

pub use api::{Api, wait_until};
pub use datamover::LocalDatamover;
pub use model::Taken;
pub use site::{Site, SiteOptions};
pub use tenant::{ServerSpec, Tenant, digest, write_clusters, write_pattern};
