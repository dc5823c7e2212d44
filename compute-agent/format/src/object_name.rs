//! `ObjectName`: a relative name on a target that cannot leave it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest part that file systems store.
const LONGEST_PART: usize = 255;
/// S3 keys end at 1024 bytes; a prefix of the bucket must fit too.
const LONGEST_NAME: usize = 900;

/// A validated relative name: parts joined by `/`, none empty, none beginning with a dot.
///
/// Names that begin with a dot belong to the target itself (its marker, unfinished writes), so
/// that `..` and `.` cannot occur and no object can collide with them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a name on a target: {why}")]
pub struct NameError {
    /// The refused text.
    pub name: String,
    /// The rule it breaks.
    pub why: &'static str,
}

impl ObjectName {
    /// Checks `name` against the rules.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        match refusal(&name) {
            Some(why) => Err(NameError { name, why }),
            None => Ok(Self(name)),
        }
    }

    /// For names put together by this crate from ids alone, which keep the rules by construction.
    pub(crate) fn from_ids(name: String) -> Self {
        debug_assert_eq!(refusal(&name), None, "{name}");
        Self(name)
    }

    /// The name as text, parts joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts from the root down, at least one.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, last)| last)
    }

    /// The folder this object is in; none at the root.
    pub fn folder(&self) -> Option<ObjectName> {
        self.0
            .rsplit_once('/')
            .map(|(folder, _)| Self(folder.to_owned()))
    }

    /// Whether this object lies somewhere below `folder`.
    pub fn is_below(&self, folder: &ObjectName) -> bool {
        self.0
            .strip_prefix(&folder.0)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The object of that relative name below this one.
    pub fn join(&self, below: &str) -> Result<ObjectName, NameError> {
        Self::new(format!("{self}/{below}"))
    }

    /// How a file of this name calls `other`, such as `../../../snapshot_1/...`: what a QCOW2
    /// header holds, so that a chain survives being moved as a whole.
    pub fn relative_path_to(&self, other: &ObjectName) -> String {
        let mut here = self.parts().peekable();
        let mut there = other.parts().peekable();
        // The last part is a file, never a folder to climb out of or descend into.
        let (mut left_here, mut left_there) = (self.parts().count(), other.parts().count());
        while left_here > 1 && left_there > 1 && here.peek() == there.peek() {
            here.next();
            there.next();
            left_here -= 1;
            left_there -= 1;
        }
        let up = std::iter::repeat_n("..", left_here - 1);
        up.chain(there).collect::<Vec<_>>().join("/")
    }

    /// The object that a file of this name calls `relative`; the inverse of
    /// [`relative_path_to`](Self::relative_path_to).
    pub fn resolve(&self, relative: &str) -> Result<ObjectName, NameError> {
        let refuse = |why| NameError {
            name: relative.to_owned(),
            why,
        };
        let mut parts: Vec<&str> = self.parts().collect();
        parts.pop();
        for part in relative.split('/') {
            if part == ".." {
                parts
                    .pop()
                    .ok_or_else(|| refuse("it leads out of the target"))?;
            } else {
                parts.push(part);
            }
        }
        Self::new(parts.join("/"))
    }
}

fn refusal(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST_NAME {
        return Some("it is longer than 900 bytes");
    }
    name.split('/').find_map(|part| match part {
        "" => Some("a part is empty"),
        _ if part.starts_with('.') => Some("a part begins with a dot"),
        _ if part.len() > LONGEST_PART => Some("a part is longer than 255 bytes"),
        _ if part.chars().any(|c| c.is_control() || c == '\\') => {
            Some("it holds a control character or a backslash")
        }
        _ => None,
    })
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl Serialize for ObjectName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    #[test]
    fn names_that_could_leave_the_target_are_refused() {
        let long = "x".repeat(256);
        let bad = [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            "..",
            "a/../b",
            "./a",
            ".marker",
            "a\0b",
            "a\nb",
            "a\\b",
            &long,
        ];
        for text in bad {
            assert!(ObjectName::new(text).is_err(), "{text:?}");
            assert!(
                serde_json::from_value::<ObjectName>(text.into()).is_err(),
                "{text:?}"
            );
        }
        for text in [
            "a",
            "a/b.index",
            "workload_1/snapshot_2/manifest.json",
            "ä/ö",
        ] {
            assert_eq!(name(text).as_str(), text);
        }
    }

    #[test]
    fn a_relative_path_climbs_to_the_common_folder() {
        let child = name("workload_w/snapshot_2/vm_id_v/vm_res_id_r_vda/b");
        let parent = name("workload_w/snapshot_1/vm_id_v/vm_res_id_r_vda/a");
        let path = child.relative_path_to(&parent);
        assert_eq!(path, "../../../snapshot_1/vm_id_v/vm_res_id_r_vda/a");
        assert_eq!(child.resolve(&path).unwrap(), parent);
        assert_eq!(name("a").relative_path_to(&name("b")), "b");
        assert_eq!(name("x/a").relative_path_to(&name("x/a")), "a");
    }

    #[test]
    fn a_path_that_leads_out_of_the_target_does_not_resolve() {
        for path in ["../../x", "/x", "../..", "", "..", "x/./y"] {
            assert!(name("a/b").resolve(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_folder_holds_what_is_below_it_and_not_what_begins_like_it() {
        assert!(name("a/b/c").is_below(&name("a/b")));
        assert!(!name("a/bc").is_below(&name("a/b")));
        assert!(!name("a/b").is_below(&name("a/b")));
    }

    proptest! {
        #[test]
        fn a_relative_path_resolves_to_where_it_came_from(
            a in "[ab](/[ab]){0,4}", b in "[ab](/[ab]){0,4}",
        ) {
            let (a, b) = (name(&a), name(&b));
            prop_assert_eq!(a.resolve(&a.relative_path_to(&b)).unwrap(), b);
        }
    }
}
