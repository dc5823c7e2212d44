//! Merging images of chains, judged by `qemu-img`, by our reader and against a model.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod chains;
mod crashes;
mod device;
mod foreign;
mod history;
mod stored;
