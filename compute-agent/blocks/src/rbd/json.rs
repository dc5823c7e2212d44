//! What `rbd --format json` prints.

use std::{fmt, io::Read, ops::ControlFlow};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor},
};

use crate::{Extent, ExtentKind};

#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) size: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Snapshot {
    pub(super) id: u64,
    pub(super) name: String,
}

#[derive(Deserialize)]
struct DiffEntry {
    offset: u64,
    length: u64,
    exists: Flag,
}

/// Ceph prints `"true"`; what it means is `true`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(Text),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Text {
    True,
    False,
}

impl From<DiffEntry> for Extent {
    fn from(entry: DiffEntry) -> Self {
        let kind = match entry.exists {
            Flag::Bool(true) | Flag::Text(Text::True) => ExtentKind::Data,
            Flag::Bool(false) | Flag::Text(Text::False) => ExtentKind::Zero,
        };
        Self {
            offset: entry.offset,
            length: entry.length,
            kind,
        }
    }
}

/// Parses the list of `rbd diff` entry by entry, in constant memory, until `take` has enough.
pub(super) fn parse_diff(
    reader: impl Read,
    take: impl FnMut(Extent) -> ControlFlow<()>,
) -> Result<(), serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_reader(reader);
    Entries { take }.deserialize(&mut parser)?;
    parser.end()
}

struct Entries<F> {
    take: F,
}

impl<'de, F: FnMut(Extent) -> ControlFlow<()>> DeserializeSeed<'de> for Entries<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Extent) -> ControlFlow<()>> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of extents")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<DiffEntry>()? {
            if (self.take)(entry.into()).is_break() {
                while list.next_element::<IgnoredAny>()?.is_some() {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Extent>, String> {
        let mut extents = Vec::new();
        let result = parse_diff(text.as_bytes(), |extent| {
            extents.push(extent);
            ControlFlow::Continue(())
        });
        result.map(|()| extents).map_err(|error| error.to_string())
    }

    #[test]
    fn a_diff_of_ceph_16_gives_data_and_zero_extents() {
        let text = r#"[{"offset":8192,"length":4096,"exists":"true"},
            {"offset":16777216,"length":4194304,"exists":"false"}]
            "#;
        let want = vec![
            Extent::data(8192, 4096),
            Extent::zero(16_777_216, 4_194_304),
        ];
        assert_eq!(parse(text), Ok(want));
        assert_eq!(parse("[]"), Ok(Vec::new()));
    }

    #[test]
    fn a_true_boolean_and_unknown_fields_are_understood() {
        let text = r#"[{"offset":0,"length":1,"exists":true,"object":"x"}]"#;
        assert_eq!(parse(text), Ok(vec![Extent::data(0, 1)]));
    }

    #[test]
    fn a_torn_or_foreign_list_is_an_error() {
        for text in [
            "",
            "[",
            r#"[{"offset":0,"length":1,"exists":"true"}"#,
            "{}",
            "[] []",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for entry in [
            r#"{"offset":-1,"length":1,"exists":"true"}"#,
            r#"{"offset":0,"length":1,"exists":"maybe"}"#,
            r#"{"offset":0,"length":1}"#,
            r#"{"offset":99999999999999999999,"length":1,"exists":"true"}"#,
        ] {
            assert!(parse(&format!("[{entry}]")).is_err(), "{entry}");
        }
    }
}
