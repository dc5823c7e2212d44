//! What the contract's objects of every noun have in common.

use actix_web::HttpRequest;
use chrono::{DateTime, Utc};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::ApiError;

/// A moment as clients parse it: UTC without saying so, always with six digits of fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, example = "2026-11-21T09:30:00.000000")]
pub(crate) struct Moment(pub(crate) DateTime<Utc>);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.format("%Y-%m-%dT%H:%M:%S%.6f"))
    }
}

/// What a path names.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    /// The object.
    pub(crate) id: String,
    /// The workload it is said to belong to.
    pub(crate) workload_id: Option<String>,
    /// The snapshot it is said to belong to.
    pub(crate) snapshot_id: Option<String>,
}

/// Where an object is found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// `self` or `bookmark`.
    pub(crate) rel: &'static str,
    /// The URL.
    pub(crate) href: String,
}

/// Makes links that lead where the client has reached us.
pub(crate) struct Links {
    root: String,
}

impl Links {
    /// From the request's own scheme and host.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let connection = request.connection_info();
        Self {
            root: format!("{}://{}", connection.scheme(), connection.host()),
        }
    }

    /// Scheme, host and port, without a slash at the end.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// Both links of an object.
    pub(crate) fn to(
        &self,
        project: &impl ToString,
        collection: &str,
        id: &impl ToString,
    ) -> Vec<Link> {
        let (root, project, id) = (&self.root, project.to_string(), id.to_string());
        vec![
            Link {
                rel: "self",
                href: format!("{root}/v1/{project}/{collection}/{id}"),
            },
            Link {
                rel: "bookmark",
                href: format!("{root}/{project}/{collection}/{id}"),
            },
        ]
    }
}

/// Names as people give them: `None` where nothing but blanks was given.
pub(crate) fn name_or_none(given: Option<String>) -> Option<String> {
    given
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

/// The contract's columns hold 255 characters; a line break in a name breaks every table.
pub(crate) fn check_name(name: &str) -> Result<(), ApiError> {
    check_short("name", name)
}

/// The same of another field that is kept in such a column.
pub(crate) fn check_short(field: &str, text: &str) -> Result<(), ApiError> {
    let length = text.chars().count();
    if length > 255 {
        return Err(ApiError::BadRequest(format!(
            "The {field} has {length} characters, 255 are allowed."
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(ApiError::BadRequest(format!(
            "The {field} holds control characters."
        )));
    }
    Ok(())
}

/// Reads true and false as clients write them: JSON's, or any spelling of the words, or 1 and 0.
pub(crate) fn lenient_bool<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<bool>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = match &value {
        Value::Null => return Ok(None),
        Value::Bool(flag) => return Ok(Some(*flag)),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        other => other.to_string(),
    };
    match text.as_str() {
        "" => Ok(None),
        "true" | "1" | "yes" => Ok(Some(true)),
        "false" | "0" | "no" => Ok(Some(false)),
        other => Err(D::Error::invalid_value(
            Unexpected::Str(other),
            &"true or false",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_always_has_six_digits_of_fraction() {
        for (moment, text) in [
            ("2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05.000000\""),
            ("2026-01-02T03:04:05.120Z", "\"2026-01-02T03:04:05.120000\""),
            (
                "2026-01-02T03:04:05.123456Z",
                "\"2026-01-02T03:04:05.123456\"",
            ),
        ] {
            let moment = Moment(moment.parse().unwrap());
            assert_eq!(serde_json::to_string(&moment).unwrap(), text);
        }
    }
}
