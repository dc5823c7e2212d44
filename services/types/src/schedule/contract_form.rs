//! The `jobschedule` object of the contract: read leniently (clients send strings for booleans and
//! numbers, two date forms, two time forms), written in one form. The written form is also what the
//! database keeps.

use chrono::{DateTime, Utc};
use jiff::Timestamp;
use jiff::civil::{Date, Time, time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{FullBackup, JobSchedule, Retention};

const BY_COUNT: &str = "Number of Snapshots to Keep";
const BY_AGE: &str = "Number of days to retain Snapshots";
const NO_END: &str = "No End";
const MOST_INTERVAL_HOURS: u32 = 24 * 366;
const MOST_RETENTION: u32 = 100_000;
const MOST_FULL_BACKUP_INTERVAL: u32 = 999;
const DEFAULT_START_TIME: Time = time(21, 0, 0, 0);
const DEFAULT_INTERVAL_HOURS: u32 = 24;
const DEFAULT_RETENTION: Retention = Retention::Snapshots(30);

/// A `jobschedule` that cannot be understood; says which field and what would do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("jobschedule: {field} `{value}` is not {wanted}")]
pub struct InvalidSchedule {
    field: &'static str,
    value: String,
    wanted: &'static str,
}

impl JobSchedule {
    /// Reads a client's `jobschedule` for a new workload: what is missing takes its default, the
    /// start date that of today.
    pub fn parse(given: &Value, now: DateTime<Utc>) -> Result<Self, InvalidSchedule> {
        Self::read(given, |zone| Some(today_in(zone, now)))
    }

    /// This schedule with the fields that a client gives replaced.
    pub fn updated(&self, given: &Value) -> Result<Self, InvalidSchedule> {
        let mut merged = self.to_contract();
        for (key, value) in fields_of(given)? {
            let says_nothing =
                value.is_null() || value.as_str().is_some_and(|it| it.trim().is_empty());
            if !says_nothing {
                merged.insert(key.clone(), value.clone());
            }
        }
        Self::read(&Value::Object(merged), |_| None)
    }

    /// The contract's object: every field, in one form.
    pub fn to_contract(&self) -> Map<String, Value> {
        let (retention_type, retention_value) = match self.retention {
            Retention::Snapshots(count) => (BY_COUNT, count),
            Retention::Days(days) => (BY_AGE, days),
        };
        let full_backup = match self.full_backup {
            FullBackup::Never => "-1".to_owned(),
            FullBackup::Always => "0".to_owned(),
            FullBackup::AfterIncrementals(count) => count.to_string(),
        };
        let unit = if self.interval_hours == 1 {
            "hr"
        } else {
            "hrs"
        };
        let date = |date: Date| date.strftime("%m/%d/%Y").to_string();
        let fields = json!({
            "enabled": self.is_enabled,
            "start_date": date(self.start_date),
            "start_time": self.start_time.strftime("%I:%M %p").to_string(),
            "end_date": self.end_date.map_or_else(|| NO_END.to_owned(), date),
            "interval": format!("{} {unit}", self.interval_hours),
            "timezone": self.time_zone.iana_name().unwrap_or("UTC"),
            "retention_policy_type": retention_type,
            "retention_policy_value": retention_value.to_string(),
            "fullbackup_interval": full_backup,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    fn read(
        given: &Value,
        default_start: impl Fn(&TimeZone) -> Option<Date>,
    ) -> Result<Self, InvalidSchedule> {
        let fields = fields_of(given)?;
        let text = |field: &'static str| Text::of(fields, field);
        let time_zone = text("timezone")
            .map(|it| it.parse(time_zone, "a time zone name such as Europe/Berlin"))
            .transpose()?
            .unwrap_or(TimeZone::UTC);
        let start_date = text("start_date")
            .map(|it| it.parse(date, DATE))
            .transpose()?
            .or_else(|| default_start(&time_zone))
            .ok_or(InvalidSchedule {
                field: "start_date",
                value: String::new(),
                wanted: DATE,
            })?;
        Ok(Self {
            is_enabled: text("enabled")
                .map(|it| it.parse(boolean, "true or false"))
                .transpose()?
                .unwrap_or(true),
            start_date,
            start_time: text("start_time")
                .map(|it| it.parse(time_of_day, "a time such as 09:00 PM or 21:00"))
                .transpose()?
                .unwrap_or(DEFAULT_START_TIME),
            end_date: text("end_date")
                .map(|it| it.parse(end_date, "a date as MM/DD/YYYY, or `No End`"))
                .transpose()?
                .flatten(),
            interval_hours: text("interval")
                .map(|it| {
                    it.parse(
                        interval_hours,
                        "an interval of 1 hr or more, such as `24 hrs`",
                    )
                })
                .transpose()?
                .unwrap_or(DEFAULT_INTERVAL_HOURS),
            time_zone,
            retention: retention(&text)?,
            full_backup: text("fullbackup_interval")
                .map(|it| it.parse(full_backup, "-1 (never), 0 (always) or 1 to 999"))
                .transpose()?
                .unwrap_or(FullBackup::Never),
        })
    }
}

impl Serialize for JobSchedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_contract().serialize(serializer)
    }
}

/// Reads the written form; unlike [`JobSchedule::parse`] it does not guess a start date.
impl<'de> Deserialize<'de> for JobSchedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        Self::read(&given, |_| None).map_err(serde::de::Error::custom)
    }
}

const DATE: &str = "a date as MM/DD/YYYY";

/// A field's value as text, whether it came as a string, a number or a boolean.
struct Text {
    field: &'static str,
    value: String,
}

impl Text {
    fn of(fields: &Map<String, Value>, field: &'static str) -> Option<Self> {
        let value = match fields.get(field)? {
            Value::Null => return None,
            Value::String(text) if text.trim().is_empty() => return None,
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        Some(Self { field, value })
    }

    fn parse<T>(
        self,
        read: impl Fn(&str) -> Option<T>,
        wanted: &'static str,
    ) -> Result<T, InvalidSchedule> {
        read(&self.value).ok_or_else(|| InvalidSchedule {
            field: self.field,
            value: self.value.chars().take(64).collect(),
            wanted,
        })
    }
}

fn fields_of(given: &Value) -> Result<&Map<String, Value>, InvalidSchedule> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match given {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(&NONE),
        other => Err(InvalidSchedule {
            field: "value",
            value: other.to_string().chars().take(64).collect(),
            wanted: "an object",
        }),
    }
}

fn today_in(zone: &TimeZone, now: DateTime<Utc>) -> Date {
    let now = Timestamp::from_second(now.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_zoned(zone.clone()).date()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn date(text: &str) -> Option<Date> {
    let (month, rest) = text.split_once('/')?;
    let (day, year) = rest.split_once('/')?;
    let year: i16 = match year.len() {
        2 => 2000 + year.parse::<i16>().ok()?,
        4 => year.parse().ok()?,
        _ => return None,
    };
    let date = Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()?;
    (date.year() >= 1970).then_some(date)
}

fn end_date(text: &str) -> Option<Option<Date>> {
    match text.to_ascii_lowercase().as_str() {
        "no end" | "no end date" | "none" => Some(None),
        _ => date(text).map(Some),
    }
}

fn time_of_day(text: &str) -> Option<Time> {
    let upper = text.to_ascii_uppercase();
    let (clock, half) = match (upper.strip_suffix("AM"), upper.strip_suffix("PM")) {
        (Some(clock), _) => (clock.trim_end(), Some(0)),
        (_, Some(clock)) => (clock.trim_end(), Some(12)),
        _ => (upper.as_str(), None),
    };
    let mut parts = clock.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let hour = match half {
        Some(offset) if (1..=12).contains(&hour) => hour % 12 + offset,
        Some(_) => return None,
        None => hour,
    };
    if parts.next().is_some() {
        return None;
    }
    // The written form has no seconds; they are checked and dropped.
    Time::new(hour, minute, second, 0).ok()?;
    Time::new(hour, minute, 0, 0).ok()
}

fn interval_hours(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    let hours_per_unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "hr" | "hrs" | "hour" | "hours" => 1,
        "day" | "days" => 24,
        "week" | "weeks" => 7 * 24,
        _ => return None,
    };
    let hours = count.parse::<u32>().ok()?.checked_mul(hours_per_unit)?;
    (1..=MOST_INTERVAL_HOURS).contains(&hours).then_some(hours)
}

fn time_zone(text: &str) -> Option<TimeZone> {
    let zone = TimeZone::get(text).ok()?;
    (!zone.is_unknown() && zone.iana_name().is_some()).then_some(zone)
}

fn retention(text: &impl Fn(&'static str) -> Option<Text>) -> Result<Retention, InvalidSchedule> {
    let by_age = text("retention_policy_type")
        .map(|it| {
            it.parse(
                is_by_age,
                "`Number of Snapshots to Keep` or `Number of days to retain Snapshots`",
            )
        })
        .transpose()?
        .unwrap_or(false);
    let value = text("retention_policy_value")
        .or_else(|| text("snapshots_to_retain"))
        .map(|it| it.parse(retention_value, "a whole number of 1 or more"))
        .transpose()?;
    Ok(match (by_age, value) {
        (true, Some(days)) => Retention::Days(days),
        (true, None) => Retention::Days(30),
        (false, Some(count)) => Retention::Snapshots(count),
        (false, None) => DEFAULT_RETENTION,
    })
}

fn is_by_age(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case(BY_AGE) {
        Some(true)
    } else if text.eq_ignore_ascii_case(BY_COUNT) {
        Some(false)
    } else {
        None
    }
}

fn retention_value(text: &str) -> Option<u32> {
    text.parse()
        .ok()
        .filter(|value| (1..=MOST_RETENTION).contains(value))
}

fn full_backup(text: &str) -> Option<FullBackup> {
    match text {
        "-1" => Some(FullBackup::Never),
        "0" => Some(FullBackup::Always),
        count => count
            .parse()
            .ok()
            .filter(|count| (1..=MOST_FULL_BACKUP_INTERVAL).contains(count))
            .map(FullBackup::AfterIncrementals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-21T23:30:00Z".parse().unwrap()
    }

    fn parsed(given: Value) -> Result<JobSchedule, String> {
        JobSchedule::parse(&given, now()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_schedule_is_the_default_one_and_enabled() {
        for given in [
            json!({}),
            json!(null),
            json!({"enabled": null, "interval": ""}),
        ] {
            let contract = Value::Object(parsed(given).unwrap().to_contract());
            assert_eq!(
                contract,
                json!({"enabled": true, "start_date": "11/21/2026", "start_time": "09:00 PM",
                       "end_date": "No End", "interval": "24 hrs", "timezone": "UTC",
                       "retention_policy_type": "Number of Snapshots to Keep",
                       "retention_policy_value": "30", "fullbackup_interval": "-1"})
            );
        }
    }

    #[test]
    fn today_is_the_day_of_the_schedules_own_zone() {
        let tokyo = parsed(json!({"timezone": "Asia/Tokyo"})).unwrap();
        assert_eq!(tokyo.start_date, Date::constant(2026, 11, 22));
    }

    #[test]
    fn disabled_with_a_zone_alone_is_accepted() {
        let it = parsed(json!({"enabled": "False", "timezone": "EST"})).unwrap();
        assert!(!it.is_enabled);
        assert_eq!(it.to_contract()["timezone"], "EST");
    }

    #[test]
    fn every_spelling_of_the_contract_is_understood() {
        for (field, given, written) in [
            ("enabled", json!("TRUE"), json!(true)),
            ("enabled", json!(false), json!(false)),
            ("start_date", json!("06/05/26"), json!("06/05/2026")),
            ("start_date", json!("6/5/2026"), json!("06/05/2026")),
            ("start_time", json!("3:00 PM"), json!("03:00 PM")),
            ("start_time", json!("12:05 am"), json!("12:05 AM")),
            ("start_time", json!("12:05 PM"), json!("12:05 PM")),
            ("start_time", json!("21:30:00"), json!("09:30 PM")),
            ("end_date", json!("No End Date"), json!("No End")),
            ("end_date", json!("12/31/2027"), json!("12/31/2027")),
            ("interval", json!("1 hr"), json!("1 hr")),
            ("interval", json!("1hr"), json!("1 hr")),
            ("interval", json!(5), json!("5 hrs")),
            ("interval", json!("1 Day"), json!("24 hrs")),
            ("interval", json!("2 weeks"), json!("336 hrs")),
            ("timezone", json!("etc/utc"), json!("Etc/UTC")),
            ("retention_policy_value", json!(7), json!("7")),
            ("fullbackup_interval", json!(0), json!("0")),
            ("fullbackup_interval", json!("999"), json!("999")),
        ] {
            let contract = parsed(json!({field: given})).unwrap().to_contract();
            assert_eq!(contract[field], written, "{field} {given}");
        }
    }

    #[test]
    fn the_older_spelling_of_retention_is_understood() {
        let it = parsed(json!({"snapshots_to_retain": 4})).unwrap();
        assert_eq!(it.retention, Retention::Snapshots(4));
        let it = parsed(json!({"retention_policy_type": BY_AGE, "retention_policy_value": "9"}));
        assert_eq!(it.unwrap().retention, Retention::Days(9));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        for (field, given) in [
            ("enabled", json!("maybe")),
            ("start_date", json!("2026-06-05")),
            ("start_date", json!("13/01/2026")),
            ("start_date", json!("02/30/2026")),
            ("start_time", json!("25:00")),
            ("start_time", json!("13:00 PM")),
            ("start_time", json!("9")),
            ("end_date", json!("never")),
            ("interval", json!("0 hrs")),
            ("interval", json!("-5")),
            ("interval", json!("30 min")),
            ("interval", json!("99999999999 hrs")),
            ("timezone", json!("Mars/Olympus")),
            ("timezone", json!("../../etc/passwd")),
            ("retention_policy_type", json!("forever")),
            ("retention_policy_value", json!(0)),
            ("fullbackup_interval", json!(-2)),
            ("fullbackup_interval", json!(1000)),
        ] {
            let message = parsed(json!({field: given})).unwrap_err();
            assert!(
                message.starts_with(&format!("jobschedule: {field} `")),
                "{message}"
            );
        }
        assert!(parsed(json!([1])).is_err());
    }

    #[test]
    fn an_update_replaces_what_it_names_and_keeps_the_rest() {
        let before = parsed(json!({"interval": "5", "start_date": "01/02/2026"})).unwrap();
        let after = before
            .updated(&json!({"enabled": false, "interval": null, "start_date": ""}))
            .unwrap();
        assert!(!after.is_enabled);
        assert_eq!(after.interval_hours, 5);
        assert_eq!(after.start_date, before.start_date);
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let it = parsed(json!({"timezone": "Europe/Berlin", "fullbackup_interval": 3})).unwrap();
        let text = serde_json::to_string(&it).unwrap();
        assert_eq!(serde_json::from_str::<JobSchedule>(&text).unwrap(), it);
    }
}
