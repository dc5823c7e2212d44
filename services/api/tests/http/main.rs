//! The API over real HTTP: the real server, SQLite, and the fake cloud behind it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on may panic"
)]

mod engine;
mod isolation;
mod limits;
mod refusals;
mod restores;
mod site;
mod snapshots;
mod tour;
mod trusts;
mod verification;
mod workloads;
