//! Merges on every kind of target, interrupted everywhere.
#![allow(clippy::cast_possible_truncation, reason = "disks of tests are small")]

mod crashes;
mod history;
mod retention;
mod ways;
