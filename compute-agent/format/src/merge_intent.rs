//! What a merge is about to do: written before it touches anything, removed when all is done.
//!
//! An image and its index cannot be changed in one step. Between the two steps this object says what
//! they were, so that whoever opens the chain next can tell how far the merge came and finish it.

use serde::{Deserialize, Serialize};

use crate::manifest::{FORMAT_VERSION, ObjectRecord};
use crate::{NameError, ObjectName};

/// The folder for it, in the workload's.
const FOLDER: &str = "merges";

/// A merge of an image into the only one that builds upon it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeIntent {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// How it is done.
    pub way: MergeWay,
    /// What will be gone, as it was before.
    pub removed: MergedObjects,
    /// What stays under its name, as it was before.
    pub kept: MergedObjects,
    /// The image that `removed` builds upon, and `kept` afterwards.
    pub backing: Option<ObjectName>,
}

/// Where the merged image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeWay {
    /// In the removed image's file, which then takes the kept one's name.
    InPlace,
    /// In a new object, which replaces the kept one.
    NewObject,
}

/// An image and its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedObjects {
    /// The image, with the digest of its head.
    pub image: ObjectRecord,
    /// The index, with the digest in its trailer.
    pub index: ObjectRecord,
}

/// Why bytes are no intent of ours.
#[derive(Debug, thiserror::Error)]
pub enum MergeIntentError {
    /// It was written by a newer program.
    #[error("a merge of format version {found} is under way, this program knows {FORMAT_VERSION}")]
    TooNew {
        /// The version found.
        found: u32,
    },
    /// Not JSON, or not these fields.
    #[error("what a merge is about to do cannot be parsed")]
    Parse(#[source] serde_json::Error),
}

impl MergeIntent {
    /// The folder of intents that concern images like `image`: that of its workload.
    pub fn folder_of(image: &ObjectName) -> Result<ObjectName, NameError> {
        match image.as_str().split_once('/') {
            Some((workload, _)) => ObjectName::new(format!("{workload}/{FOLDER}")),
            None => ObjectName::new(FOLDER),
        }
    }

    /// Its name, by that of the image that is kept: `workload_<id>/merges/snapshot_<id>/...`.
    pub fn name_of(kept: &ObjectName) -> Result<ObjectName, NameError> {
        let below = kept.as_str().split_once('/');
        let below = below.map_or(kept.as_str(), |(_, below)| below);
        Self::folder_of(kept)?.join(below)
    }

    /// Parses; a newer version is told from damage.
    pub fn from_slice(json: &[u8]) -> Result<Self, MergeIntentError> {
        #[derive(Deserialize)]
        struct VersionOnly {
            format_version: u32,
        }
        let VersionOnly {
            format_version: found,
        } = serde_json::from_slice(json).map_err(MergeIntentError::Parse)?;
        if found > FORMAT_VERSION {
            return Err(MergeIntentError::TooNew { found });
        }
        serde_json::from_slice(json).map_err(MergeIntentError::Parse)
    }

    /// Renders it, indented for the operator who looks at it.
    pub fn to_vec(&self) -> Result<Vec<u8>, MergeIntentError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(MergeIntentError::Parse)?;
        json.push(b'\n');
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn name(text: &str) -> ObjectName {
        ObjectName::new(text).unwrap()
    }

    fn objects(image: &str) -> MergedObjects {
        let record = |name: ObjectName| ObjectRecord {
            blake3: Digest::of(name.as_str().as_bytes()),
            name,
            size_bytes: 7,
        };
        MergedObjects {
            image: record(name(image)),
            index: record(crate::layout::index_of(&name(image)).unwrap()),
        }
    }

    #[test]
    fn it_lies_in_the_workloads_folder_under_the_kept_images_name() {
        let intent = |kept| MergeIntent::name_of(&name(kept)).unwrap();
        assert_eq!(
            intent("workload_1/snapshot_2/v/i").as_str(),
            "workload_1/merges/snapshot_2/v/i"
        );
        assert_eq!(intent("alone").as_str(), "merges/alone");
        let folder = MergeIntent::folder_of(&name("workload_1/snapshot_2/v/i")).unwrap();
        assert!(intent("workload_1/snapshot_9/v/i").is_below(&folder));
    }

    #[test]
    fn it_survives_its_file_and_a_newer_one_is_refused() {
        let intent = MergeIntent {
            format_version: FORMAT_VERSION,
            way: MergeWay::InPlace,
            removed: objects("w/s1/v/a"),
            kept: objects("w/s2/v/b"),
            backing: None,
        };
        let json = intent.to_vec().unwrap();
        assert_eq!(MergeIntent::from_slice(&json).unwrap(), intent);
        let text = String::from_utf8(json).unwrap();
        assert!(text.contains(r#""way": "in_place""#), "{text}");
        let newer = MergeIntent::from_slice(br#"{"format_version": 2}"#).unwrap_err();
        assert!(matches!(newer, MergeIntentError::TooNew { found: 2 }));
        let damaged = MergeIntent::from_slice(b"{}").unwrap_err();
        assert!(matches!(damaged, MergeIntentError::Parse(_)));
    }
}
