//! What snapshots and restores both tell while they run and when they stop.

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::column::to_moment;

/// How far a snapshot or a restore is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// What is being done, for its owner.
    pub message: String,
    /// Bytes that will be moved in all, as far as known.
    pub size_bytes: u64,
    /// Bytes moved so far.
    pub uploaded_bytes: u64,
}

/// How something ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A step failed.
    Failed,
    /// Its owner asked for it.
    Cancelled,
}

/// Whole seconds since the row was made; a clock that went back counts as none.
pub(crate) fn seconds_since(created_at: NaiveDateTime, now: DateTime<Utc>) -> i64 {
    (to_moment(now) - created_at).num_seconds().max(0)
}
