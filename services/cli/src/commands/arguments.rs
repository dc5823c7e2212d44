//! Values of options that several commands take.

use chrono::NaiveDateTime;
use serde_json::{Map, Value};
use uuid::Uuid;

/// Keys of a schedule.
const SCHEDULE_KEYS: [&str; 10] = [
    "enabled",
    "start_date",
    "start_time",
    "end_date",
    "interval",
    "timezone",
    "retention_policy_type",
    "retention_policy_value",
    "fullbackup_interval",
    "snapshots_to_retain",
];

/// `True` and `False` in any case.
pub(crate) fn python_bool(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("True or False is wanted".to_owned()),
    }
}

/// `key=value`, split at the first `=`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("key=value is wanted".to_owned()),
    }
}

/// `key=value` of a schedule; a misspelt key must not silently change when backups are made.
pub(crate) fn schedule_item(text: &str) -> Result<(String, String), String> {
    let (key, value) = key_value(text)?;
    if SCHEDULE_KEYS.contains(&key.as_str()) {
        Ok((key, value))
    } else {
        Err(format!(
            "there is no '{key}' in a schedule; it has {}",
            SCHEDULE_KEYS.join(", ")
        ))
    }
}

/// `instance-id=ID` or the ID alone; a server's name is no ID, and names are not unique.
pub(crate) fn instance(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("instance-id=").unwrap_or(text);
    match Uuid::parse_str(id) {
        Ok(_) => Ok(id.to_owned()),
        Err(_) => Err("the ID of a server is wanted (openstack server list), not its name".into()),
    }
}

/// `YYYY-MM-DDTHH:MM:SS`.
pub(crate) fn date_time(text: &str) -> Result<String, String> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S")
        .map(|_| text.to_owned())
        .map_err(|_| "YYYY-MM-DDTHH:MM:SS (UTC) is wanted".to_owned())
}

/// Pairs as a JSON object; of two with one key the last counts.
pub(crate) fn object(pairs: &[(String, String)]) -> Value {
    let members = pairs
        .iter()
        .map(|(key, value)| (key.clone(), Value::String(value.clone())));
    Value::Object(members.collect::<Map<_, _>>())
}

/// The API's list of members.
pub(crate) fn instances(ids: &[String]) -> Value {
    ids.iter()
        .map(|id| serde_json::json!({ "instance-id": id }))
        .collect()
}

/// A query with the options that were given.
pub(crate) fn query(options: &[(&'static str, Option<String>)]) -> Vec<(&'static str, String)> {
    options
        .iter()
        .filter_map(|(key, value)| Some((*key, value.clone()?)))
        .collect()
}

/// How Python's clients spell a boolean in a query.
pub(crate) fn python_text(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7c0d7a2f-6d9c-4d3f-9d0a-2e8b6f0f5a11";

    #[test]
    fn members_are_given_by_id_with_or_without_its_key() {
        assert_eq!(instance(&format!("instance-id={ID}")), Ok(ID.to_owned()));
        assert_eq!(instance(ID), Ok(ID.to_owned()));
        assert!(instance("web-1").is_err());
        assert!(instance("name=web").is_err());
    }

    #[test]
    fn pairs_are_split_at_the_first_equals_sign() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(key_value("a="), Ok(("a".into(), String::new())));
        assert!(key_value("a").is_err());
        assert!(key_value("=a").is_err());
    }

    #[test]
    fn a_misspelt_key_of_a_schedule_is_refused() {
        assert!(schedule_item("interval=4 hrs").is_ok());
        assert!(
            schedule_item("intervall=4 hrs")
                .unwrap_err()
                .contains("interval")
        );
    }

    #[test]
    fn dates_and_booleans_are_checked() {
        assert!(date_time("2026-01-31T23:59:00").is_ok());
        assert!(date_time("2026-02-31T00:00:00").is_err());
        assert_eq!(python_bool("TRUE"), Ok(true));
        assert_eq!(python_bool("false"), Ok(false));
        assert!(python_bool("maybe").is_err());
    }
}
