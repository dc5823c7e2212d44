//! `backstay-datamover` as a command, run as a process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test and say why"
)]

mod backup;
mod damage;
mod export;
mod interrupted;
mod merge;
mod reference;
mod refused;
mod shell;
