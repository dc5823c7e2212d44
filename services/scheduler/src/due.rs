//! Whether a schedule wants a snapshot now.

use chrono::{DateTime, TimeDelta, Utc};
use services_types::JobSchedule;

/// A slot that nobody has asked for by then is left out: better one backup too few than one in the
/// middle of the working day because the appliance was off at night.
pub const MISFIRE_GRACE: TimeDelta = TimeDelta::seconds(600);

/// The slot to be filled now, if there is one. `last_run` is the last slot that was filled, or, where
/// none was, the moment from which the schedule counts. Of several slots missed the last one counts.
pub fn due(
    schedule: &JobSchedule,
    last_run: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let slot = schedule.last_slot(now)?;
    let is_filled = slot <= last_run;
    let is_missed = now - slot > MISFIRE_GRACE;
    (!is_filled && !is_missed).then_some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn at(schedule: Value, last_run: &str, now: &str) -> Option<String> {
        let schedule = JobSchedule::parse(&schedule, utc("2026-06-01T00:00:00Z")).unwrap();
        due(&schedule, utc(last_run), utc(now)).map(|slot| slot.format("%dT%H:%M").to_string())
    }

    #[test]
    fn a_slot_is_due_from_its_moment_until_the_grace_is_over() {
        let daily = json!({"start_date": "06/01/2026", "start_time": "09:00 PM"});
        for (last_run, now, slot) in [
            ("2026-06-01T10:00:00Z", "2026-06-01T20:59:59Z", None),
            (
                "2026-06-01T10:00:00Z",
                "2026-06-01T21:00:00Z",
                Some("01T21:00"),
            ),
            (
                "2026-06-01T10:00:00Z",
                "2026-06-01T21:10:00Z",
                Some("01T21:00"),
            ),
            ("2026-06-01T10:00:00Z", "2026-06-01T21:10:01Z", None),
            ("2026-06-01T21:00:00Z", "2026-06-01T21:00:10Z", None),
            (
                "2026-06-01T21:00:00Z",
                "2026-06-02T21:00:10Z",
                Some("02T21:00"),
            ),
        ] {
            assert_eq!(
                at(daily.clone(), last_run, now).as_deref(),
                slot,
                "{last_run} {now}"
            );
        }
    }

    #[test]
    fn a_workload_made_after_its_slot_waits_for_the_next() {
        let daily = json!({"start_date": "06/01/2026", "start_time": "09:00 PM"});
        assert_eq!(
            at(daily, "2026-06-01T21:00:30Z", "2026-06-01T21:01:00Z"),
            None
        );
    }

    #[test]
    fn of_several_missed_slots_only_the_last_is_filled() {
        let hourly = json!({"start_date": "06/01/2026", "start_time": "00:00", "interval": "1 hr"});
        let slot = at(hourly, "2026-06-01T00:00:00Z", "2026-06-01T07:03:00Z");
        assert_eq!(slot.as_deref(), Some("01T07:00"));
    }

    #[test]
    fn nothing_is_due_before_the_start_after_the_end_and_when_switched_off() {
        let (last_run, now) = ("2026-06-01T00:00:00Z", "2026-06-10T21:01:00Z");
        for schedule in [
            json!({"start_date": "06/11/2026"}),
            json!({"start_date": "06/01/2026", "end_date": "06/09/2026"}),
            json!({"start_date": "06/01/2026", "enabled": false}),
        ] {
            assert_eq!(at(schedule.clone(), last_run, now), None, "{schedule}");
        }
        let due = json!({"start_date": "06/01/2026", "end_date": "06/10/2026"});
        assert!(at(due, last_run, now).is_some());
    }
}
