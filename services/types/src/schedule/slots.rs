//! Which moments are slots of a schedule.

use chrono::{DateTime, Utc};
use jiff::{Span, Timestamp};

use super::JobSchedule;

const SECONDS_PER_HOUR: i64 = 3600;
const HOURS_PER_DAY: u32 = 24;

impl JobSchedule {
    /// The first slot after `moment`; `None` when switched off or past its end.
    pub fn next_slot(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let number = self
            .last_number_until(moment.timestamp())
            .map_or(0, |number| number + 1);
        self.slot_if_allowed(number)
    }

    /// The last slot at or before `moment`; `None` when switched off or not begun.
    pub fn last_slot(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let second = match self.end_second() {
            Some(end) => moment.timestamp().min(end),
            None => moment.timestamp(),
        };
        self.slot_if_allowed(self.last_number_until(second)?)
    }

    fn slot_if_allowed(&self, number: i64) -> Option<DateTime<Utc>> {
        if !self.is_enabled {
            return None;
        }
        let slot = self.slot(number)?;
        let day = slot.to_zoned(self.time_zone.clone()).date();
        if self.end_date.is_some_and(|end| day > end) {
            return None;
        }
        DateTime::from_timestamp(slot.as_second(), 0)
    }

    /// The last second of the end date.
    fn end_second(&self) -> Option<i64> {
        let day_after = self.end_date?.checked_add(Span::new().days(1)).ok()?;
        let midnight = day_after.to_zoned(self.time_zone.clone()).ok()?;
        Some(midnight.timestamp().as_second() - 1)
    }

    /// The greatest slot number that lies at or before this second; `None` before slot 0.
    fn last_number_until(&self, second: i64) -> Option<i64> {
        let anchor = self.slot(0)?.as_second();
        if second < anchor {
            return None;
        }
        // On the calendar a slot is off its elapsed-time estimate by the change of summer time at
        // most, which is less than one interval of a day or more.
        let estimate = (second - anchor) / self.interval_seconds();
        let candidates = [estimate + 1, estimate, estimate - 1];
        candidates.into_iter().find(|number| {
            self.slot(*number)
                .is_some_and(|slot| slot.as_second() <= second)
        })
    }

    fn interval_seconds(&self) -> i64 {
        i64::from(self.interval_hours.max(1)) * SECONDS_PER_HOUR
    }

    fn slot(&self, number: i64) -> Option<Timestamp> {
        let whole_days = self.interval_hours.is_multiple_of(HOURS_PER_DAY);
        let days = if whole_days {
            number.checked_mul(i64::from(self.interval_hours / HOURS_PER_DAY))?
        } else {
            0
        };
        let date = self
            .start_date
            .checked_add(Span::new().try_days(days).ok()?)
            .ok()?;
        let on_calendar = date
            .to_datetime(self.start_time)
            .to_zoned(self.time_zone.clone())
            .ok()?
            .timestamp();
        if whole_days {
            return Some(on_calendar);
        }
        let elapsed = number.checked_mul(self.interval_seconds())?;
        Timestamp::from_second(on_calendar.as_second().checked_add(elapsed)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn schedule(given: serde_json::Value) -> JobSchedule {
        JobSchedule::parse(&given, utc("2026-01-01T00:00:00Z")).unwrap()
    }

    #[test]
    fn the_first_slot_is_the_start_date_at_the_start_time_in_its_zone() {
        let it = schedule(json!({"start_date": "06/01/2026", "start_time": "09:00 PM",
                                 "timezone": "America/New_York", "interval": "1 hr"}));
        assert_eq!(
            it.next_slot(utc("2026-01-01T00:00:00Z")),
            Some(utc("2026-06-02T01:00:00Z"))
        );
        assert_eq!(it.last_slot(utc("2026-06-02T00:59:59Z")), None);
        assert_eq!(
            it.last_slot(utc("2026-06-02T01:00:00Z")),
            Some(utc("2026-06-02T01:00:00Z"))
        );
    }

    #[test]
    fn slots_follow_every_interval_and_the_next_one_lies_strictly_after() {
        let it =
            schedule(json!({"start_date": "06/01/2026", "start_time": "10:00", "interval": "5"}));
        assert_eq!(
            it.next_slot(utc("2026-06-01T10:00:00Z")),
            Some(utc("2026-06-01T15:00:00Z"))
        );
        assert_eq!(
            it.last_slot(utc("2026-06-02T00:59:59Z")),
            Some(utc("2026-06-01T20:00:00Z"))
        );
    }

    #[test]
    fn a_daily_slot_keeps_its_wall_clock_time_over_summer_time() {
        let it = schedule(json!({"start_date": "03/01/2026", "start_time": "09:00 PM",
                                 "timezone": "Europe/Berlin", "interval": "24 hrs"}));
        assert_eq!(
            it.next_slot(utc("2026-03-27T21:00:00Z")),
            Some(utc("2026-03-28T20:00:00Z"))
        );
        assert_eq!(
            it.next_slot(utc("2026-03-28T20:00:00Z")),
            Some(utc("2026-03-29T19:00:00Z"))
        );
        assert_eq!(
            it.last_slot(utc("2026-03-29T18:59:59Z")),
            Some(utc("2026-03-28T20:00:00Z"))
        );
        assert_eq!(
            it.next_slot(utc("2026-10-24T19:00:00Z")),
            Some(utc("2026-10-25T20:00:00Z"))
        );
    }

    #[test]
    fn an_hourly_slot_comes_every_elapsed_hour_over_summer_time() {
        let it = schedule(json!({"start_date": "10/24/2026", "start_time": "00:00",
                                 "timezone": "Europe/Berlin", "interval": "1 hr"}));
        let mut slot = utc("2026-10-24T22:00:00Z");
        for _ in 0..6 {
            let next = it.next_slot(slot).unwrap();
            assert_eq!((next - slot).num_seconds(), 3600);
            slot = next;
        }
    }

    #[test]
    fn the_last_day_is_included_and_nothing_comes_after_it() {
        let it = schedule(json!({"start_date": "06/01/2026", "start_time": "23:00",
                                 "end_date": "06/02/2026", "interval": "24 hrs"}));
        assert_eq!(
            it.next_slot(utc("2026-06-01T23:00:00Z")),
            Some(utc("2026-06-02T23:00:00Z"))
        );
        assert_eq!(it.next_slot(utc("2026-06-02T23:00:00Z")), None);
        assert_eq!(
            it.last_slot(utc("2027-01-01T00:00:00Z")),
            Some(utc("2026-06-02T23:00:00Z"))
        );
    }

    #[test]
    fn an_end_before_the_start_means_no_slot_at_all() {
        let it = schedule(json!({"start_date": "06/02/2026", "end_date": "06/01/2026"}));
        assert_eq!(it.next_slot(utc("2026-01-01T00:00:00Z")), None);
        assert_eq!(it.last_slot(utc("2027-01-01T00:00:00Z")), None);
    }

    #[test]
    fn a_schedule_that_is_off_has_no_slots() {
        let it = schedule(json!({"enabled": false, "end_date": "02/01/2026"}));
        assert_eq!(it.next_slot(utc("2026-06-01T00:00:00Z")), None);
        assert_eq!(it.last_slot(utc("2026-06-01T00:00:00Z")), None);
    }

    #[test]
    fn every_moment_lies_between_its_last_and_its_next_slot() {
        for zone in [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
        ] {
            for interval in ["1 hr", "7 hrs", "24 hrs", "1 week"] {
                let it = schedule(json!({"start_date": "01/02/2026", "start_time": "02:30",
                                         "timezone": zone, "interval": interval}));
                let mut moment = utc("2026-01-04T00:00:00Z");
                while moment < utc("2026-12-31T00:00:00Z") {
                    let next = it.next_slot(moment).unwrap();
                    assert!(next > moment, "{zone} {interval} {moment}");
                    if let Some(last) = it.last_slot(moment) {
                        assert!(last <= moment, "{zone} {interval} {moment}");
                        assert_eq!(it.next_slot(last), Some(next), "{zone} {interval} {moment}");
                    }
                    moment += chrono::TimeDelta::minutes(7 * 60 + 13);
                }
            }
        }
    }
}
