//! Between typed values and what stands in a column.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Which release wrote the row: the contract's column `version`.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Names the row in [`Error::Corrupt`] while its columns are read.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) what: &'static str,
    pub(crate) id: &'a str,
}

impl Row<'_> {
    /// A word or an id.
    pub(crate) fn parse<T>(self, text: &str) -> Result<T, Error>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        text.parse().map_err(|source| self.corrupt(source))
    }

    /// A word or an id that may be missing.
    pub(crate) fn parse_if_any<T>(self, text: Option<&str>) -> Result<Option<T>, Error>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        text.map(|text| self.parse(text)).transpose()
    }

    /// A count of bytes or seconds.
    pub(crate) fn count(self, number: i64) -> Result<u64, Error> {
        u64::try_from(number).map_err(|source| self.corrupt(source))
    }

    /// A small count.
    pub(crate) fn number(self, number: i32) -> Result<u32, Error> {
        u32::try_from(number).map_err(|source| self.corrupt(source))
    }

    /// 0 to 100.
    pub(crate) fn percent(self, number: i32) -> Result<u8, Error> {
        u8::try_from(number).map_err(|source| self.corrupt(source))
    }

    /// A JSON text.
    pub(crate) fn json<T: DeserializeOwned>(self, text: &str) -> Result<T, Error> {
        serde_json::from_str(text).map_err(|source| self.corrupt(source))
    }

    fn corrupt(self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Corrupt {
            what: self.what,
            id: self.id.to_owned(),
            source: source.into(),
        }
    }
}

/// The JSON text of a value that is about to be stored.
pub(crate) fn to_json(
    what: &'static str,
    id: &impl ToString,
    value: &impl Serialize,
) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| Error::Corrupt {
        what,
        id: id.to_string(),
        source: source.into(),
    })
}

/// A column holds less than all of `u64`; no disk comes near the end of it.
pub(crate) fn to_count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A moment of a row: columns are UTC without saying so.
pub(crate) fn moment(column: NaiveDateTime) -> DateTime<Utc> {
    column.and_utc()
}

/// Cut to what both databases keep, so that a moment reads back as it was written.
pub(crate) fn to_moment(time: DateTime<Utc>) -> NaiveDateTime {
    use chrono::SubsecRound;
    time.trunc_subsecs(6).naive_utc()
}
