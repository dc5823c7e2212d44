//! `manifest.json`: what a snapshot consists of. Written last, so that its presence means that
//! everything it names was on stable storage before.
//!
//! What `blake3` of an [`ObjectRecord`] covers differs by the object, since images and indexes are
//! streams that are hashed while they are written, and resumed after a crash:
//!
//! | object | `blake3` is |
//! |---|---|
//! | a JSON file | the digest of the whole file |
//! | an index | the digest in its trailer: it covers every byte before, block by block |
//! | an image | the digest of its head (header and L1 table); its clusters are covered by the index |

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::layout::{DiskName, SnapshotFolder};
use crate::{Digest, HashAlgorithm, ObjectName, ResourceId, SnapshotId, VmId, WorkloadId};

/// The version that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// A whole manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// The workload that was backed up.
    pub workload_id: WorkloadId,
    /// The snapshot that this manifest stands for.
    pub snapshot_id: SnapshotId,
    /// Whether the images stand alone.
    pub snapshot_type: SnapshotType,
    /// The moment the disks show.
    pub created_at: DateTime<Utc>,
    /// The snapshot that the images build upon; none for a full one.
    pub previous_snapshot_id: Option<SnapshotId>,
    /// How digests in this manifest and its indexes were made.
    pub hash: HashUse,
    /// One entry a disk of a VM.
    pub disks: Vec<DiskEntry>,
    /// The JSON files of the snapshot.
    pub objects: Vec<ObjectRecord>,
}

/// Whether a snapshot needs an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotType {
    /// Every image stands alone.
    Full,
    /// At least one image has a parent.
    Incremental,
}

/// How digests were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashUse {
    /// The algorithm.
    pub algorithm: HashAlgorithm,
    /// Whether a secret key went into it, as encrypted backups will need.
    pub is_keyed: bool,
}

/// One object on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// Its name from the root of the target.
    pub name: ObjectName,
    /// Its length.
    pub size_bytes: u64,
    /// Its digest; the table at the head of this module says of what.
    pub blake3: Digest,
}

/// One disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskEntry {
    /// The VM that it belongs to.
    pub vm_id: VmId,
    /// The volume that it was read from.
    pub resource_id: ResourceId,
    /// Its name in the VM.
    pub disk: DiskName,
    /// The QCOW2 image.
    pub image: ObjectRecord,
    /// The image's index.
    pub index: ObjectRecord,
    /// The image of the previous snapshot that this one builds upon.
    pub backing: Option<ObjectName>,
    /// The disk's true size, 0 included; QCOW2 can only say multiples of 512.
    pub size_bytes: u64,
    /// The size in the image's header.
    pub virtual_size_bytes: u64,
    /// The unit of the image and of its index.
    pub cluster_size: u32,
    /// Guest bytes stored in this image, in whole clusters.
    pub data_bytes: u64,
    /// Guest bytes that this image declares to be zero although its parent may not.
    pub zero_bytes: u64,
    /// By which the disk's host may know what has changed since; of use to the next backup alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

/// Why bytes are no manifest of ours.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It was written by a newer program.
    #[error(
        "manifest has format version {found}, this program reads up to {FORMAT_VERSION}: \
             upgrade it to use this backup"
    )]
    TooNew {
        /// The version found.
        found: u32,
    },
    /// Not JSON, or not these fields.
    #[error("manifest cannot be parsed")]
    Parse(#[source] serde_json::Error),
    /// Its parts contradict each other.
    #[error("manifest contradicts itself: {what}{}", name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default())]
    Inconsistent {
        /// The rule it breaks.
        what: &'static str,
        /// The object that breaks it.
        name: Option<ObjectName>,
    },
}

#[derive(Deserialize)]
struct VersionOnly {
    format_version: u32,
}

impl Manifest {
    /// The folder that all of it lies in, and it as well.
    pub fn folder(&self) -> SnapshotFolder {
        SnapshotFolder {
            workload_id: self.workload_id,
            snapshot_id: self.snapshot_id,
        }
    }

    /// Parses and validates; a newer version is told from damage.
    pub fn from_slice(json: &[u8]) -> Result<Self, ManifestError> {
        // The version first: the rest of a newer one need not parse.
        let VersionOnly {
            format_version: found,
        } = serde_json::from_slice(json).map_err(ManifestError::Parse)?;
        if found > FORMAT_VERSION {
            return Err(ManifestError::TooNew { found });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(ManifestError::Parse)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Validates and renders, indented for the operator who looks at it.
    pub fn to_vec(&self) -> Result<Vec<u8>, ManifestError> {
        self.validate()?;
        let mut json = serde_json::to_vec_pretty(self).map_err(ManifestError::Parse)?;
        json.push(b'\n');
        Ok(json)
    }

    fn validate(&self) -> Result<(), ManifestError> {
        let broken = |what| Err(ManifestError::Inconsistent { what, name: None });
        if self.format_version == 0 {
            return broken("there is no format version 0");
        }
        let has_parent = self.disks.iter().any(|disk| disk.backing.is_some());
        match (self.snapshot_type, self.previous_snapshot_id) {
            (SnapshotType::Full, _) if has_parent => broken("a full snapshot has a parent image"),
            (SnapshotType::Full, Some(_)) => broken("a full snapshot names a previous one"),
            (SnapshotType::Incremental, None) => broken("an incremental names no previous one"),
            _ => self.disks.iter().try_for_each(DiskEntry::validate),
        }
    }
}

impl DiskEntry {
    fn validate(&self) -> Result<(), ManifestError> {
        let rules = [
            (
                self.cluster_size.is_power_of_two(),
                "a cluster size is no power of two",
            ),
            (
                // QCOW2 knows no disk without bytes: its image has one sector.
                self.size_bytes.max(1).checked_next_multiple_of(512)
                    == Some(self.virtual_size_bytes),
                "an image's virtual size is not its disk's, rounded up to 512",
            ),
            (
                self.backing.as_ref() != Some(&self.image.name),
                "an image is its own parent",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(ManifestError::Inconsistent {
                what,
                name: Some(self.image.name.clone()),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn record(name: &str) -> ObjectRecord {
        let name = ObjectName::new(name).unwrap();
        ObjectRecord {
            blake3: Digest::of(name.as_str().as_bytes()),
            name,
            size_bytes: 3,
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            workload_id: Uuid::from_u128(1).into(),
            snapshot_id: Uuid::from_u128(2).into(),
            snapshot_type: SnapshotType::Incremental,
            created_at: DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap(),
            previous_snapshot_id: Some(Uuid::from_u128(3).into()),
            hash: HashUse {
                algorithm: HashAlgorithm::Blake3,
                is_keyed: false,
            },
            disks: vec![DiskEntry {
                vm_id: Uuid::from_u128(4).into(),
                resource_id: Uuid::from_u128(5).into(),
                disk: DiskName::new("vda").unwrap(),
                image: record("w/b"),
                index: record("w/b.index"),
                backing: Some(ObjectName::new("w/a").unwrap()),
                size_bytes: 65537,
                virtual_size_bytes: 66048,
                cluster_size: 65536,
                data_bytes: 131072,
                zero_bytes: 0,
                mark: None,
            }],
            objects: vec![record("w/disk_db")],
        }
    }

    #[test]
    fn a_manifest_survives_its_file() {
        let json = manifest().to_vec().unwrap();
        assert_eq!(Manifest::from_slice(&json).unwrap(), manifest());
    }

    #[test]
    fn a_disk_without_bytes_has_an_image_of_one_sector() {
        let mut empty = manifest();
        empty.disks[0].size_bytes = 0;
        empty.disks[0].virtual_size_bytes = 512;
        let json = empty.to_vec().unwrap();
        assert_eq!(Manifest::from_slice(&json).unwrap(), empty);
        empty.disks[0].virtual_size_bytes = 0;
        assert!(empty.to_vec().is_err());
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let newer = br#"{"format_version": 2, "something": "else"}"#;
        let error = Manifest::from_slice(newer).unwrap_err();
        assert!(
            matches!(error, ManifestError::TooNew { found: 2 }),
            "{error}"
        );
        assert!(matches!(
            Manifest::from_slice(b"{").unwrap_err(),
            ManifestError::Parse(_)
        ));
    }

    #[test]
    fn contradictions_are_refused_on_both_ways() {
        let breakages: [fn(&mut Manifest); 7] = [
            |m| m.format_version = 0,
            |m| m.snapshot_type = SnapshotType::Full,
            |m| m.previous_snapshot_id = None,
            |m| m.disks[0].cluster_size = 1000,
            |m| m.disks[0].size_bytes = 0,
            |m| m.disks[0].virtual_size_bytes = 65537,
            |m| m.disks[0].backing = Some(m.disks[0].image.name.clone()),
        ];
        for breakage in breakages {
            let mut broken = manifest();
            breakage(&mut broken);
            assert!(broken.to_vec().is_err(), "{broken:?}");
            let json = serde_json::to_vec(&broken).unwrap();
            let error = Manifest::from_slice(&json).unwrap_err();
            assert!(
                matches!(error, ManifestError::Inconsistent { .. }),
                "{error}"
            );
        }
    }

    #[test]
    fn names_that_leave_the_target_are_refused() {
        let mut json: Value = serde_json::from_slice(&manifest().to_vec().unwrap()).unwrap();
        json["disks"][0]["image"]["name"] = json!("../../etc/passwd");
        let error = Manifest::from_slice(&serde_json::to_vec(&json).unwrap()).unwrap_err();
        assert!(matches!(error, ManifestError::Parse(_)));
    }

    #[test]
    fn the_written_shape_is_what_the_format_promises() {
        let json: Value = serde_json::from_slice(&manifest().to_vec().unwrap()).unwrap();
        assert_eq!(json["snapshot_type"], "incremental");
        assert_eq!(
            json["hash"],
            json!({"algorithm": "blake3", "is_keyed": false})
        );
        assert_eq!(json["created_at"], "2023-11-14T22:13:20.123456Z");
        assert_eq!(
            json["disks"][0]["image"]["blake3"].as_str().unwrap().len(),
            64
        );
    }
}
