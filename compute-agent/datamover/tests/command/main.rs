//! `backstay-datamover` as a command, run as a process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    reason = "helpers of tests fail the test and say why"
)]

mod backup;
mod damage;
mod export;
mod failing_share;
mod hanging_share;
mod interrupted;
mod killed;
mod killed_between_changes;
mod killed_merges;
mod killer;
mod merge;
mod place;
mod reference;
mod refused;
mod share;
mod shell;
mod state;
