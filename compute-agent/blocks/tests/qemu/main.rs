//! The client against the real `qemu-nbd`, on files; `qemu-img` is the judge.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests fail by panicking"
)]

mod disk;
mod disks;
mod lifecycle;
mod requests;
