//! When a workload is protected by itself: the schedule as typed values, its contract form
//! (`jobschedule`), and the arithmetic of its runs. Pure: the time is always an argument.
//!
//! A *slot* is a moment at which a snapshot is wanted. Slot 0 is the start date at the start time in
//! the schedule's zone; the others follow every `interval`. Whole days are counted on the calendar,
//! so that 21:00 stays 21:00 over a change to summer time; other intervals are elapsed hours.

mod contract_form;
mod slots;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

pub use contract_form::InvalidSchedule;

/// A workload's schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSchedule {
    /// Off: no slots at all.
    pub is_enabled: bool,
    /// First day, in the schedule's zone.
    pub start_date: Date,
    /// Time of day of the first slot, in the schedule's zone.
    pub start_time: Time,
    /// Last day on which a slot may lie, in the schedule's zone.
    pub end_date: Option<Date>,
    /// Hours from slot to slot; at least 1.
    pub interval_hours: u32,
    /// Whose clock the dates and times are on.
    pub time_zone: TimeZone,
    /// What is kept.
    pub retention: Retention,
    /// When an incremental is not enough.
    pub full_backup: FullBackup,
}

/// How much of the past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// This many snapshots.
    Snapshots(u32),
    /// Snapshots younger than this many days.
    Days(u32),
}

/// When a scheduled snapshot is a full one. The first of a workload always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullBackup {
    /// Only the first.
    Never,
    /// Every one.
    Always,
    /// After this many incrementals in a row.
    AfterIncrementals(u32),
}

impl FullBackup {
    /// Whether the next scheduled snapshot is to be full, after this many incrementals in a row.
    pub fn is_due(self, incrementals_since_full: u32) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::AfterIncrementals(count) => incrementals_since_full >= count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_backup_is_due_after_exactly_that_many_incrementals() {
        for (rule, incrementals, is_due) in [
            (FullBackup::Never, 1000, false),
            (FullBackup::Always, 0, true),
            (FullBackup::AfterIncrementals(3), 2, false),
            (FullBackup::AfterIncrementals(3), 3, true),
            (FullBackup::AfterIncrementals(3), 4, true),
        ] {
            assert_eq!(rule.is_due(incrementals), is_due, "{rule:?} {incrementals}");
        }
    }
}
