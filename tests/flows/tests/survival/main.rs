//! What the programs survive: being killed, stopped, and cut off in the middle of their work, full and
//! read-only targets, and a cloud that changes its mind.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail the test and say why"
)]

mod bucket;
mod cancellation;
mod cloud;
mod fill;
mod freeze;
mod images;
mod protected;
mod takeover;
mod target;
mod upload;
