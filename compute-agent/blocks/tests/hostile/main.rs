//! The client against scripted servers: slow, dying, lying and lacking ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking"
)]

mod disks;
mod handshake;
mod peer;
mod replay;
mod replies;
