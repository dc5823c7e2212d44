//! What a manifest says after an image was merged into one of its own.

use crate::manifest::{DiskEntry, Manifest, ObjectRecord, SnapshotType};
use crate::{ObjectName, SnapshotId};

/// An image into which the one that it built upon was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedDisk {
    /// The image as it is now, under its old name.
    pub image: ObjectRecord,
    /// Its index.
    pub index: ObjectRecord,
    /// What it builds upon now.
    pub backing: Option<ObjectName>,
    /// The size in its header.
    pub virtual_size_bytes: u64,
    /// Guest bytes with data.
    pub data_bytes: u64,
    /// Guest bytes declared to be zero.
    pub zero_bytes: u64,
}

impl Manifest {
    /// Takes down what an image has become; false if no disk of this snapshot has such an image.
    pub fn follow_merge(&mut self, merged: &MergedDisk) -> bool {
        let is_it = |disk: &&mut DiskEntry| disk.image.name == merged.image.name;
        let Some(disk) = self.disks.iter_mut().find(is_it) else {
            return false;
        };
        disk.image = merged.image.clone();
        disk.index = merged.index.clone();
        disk.backing = merged.backing.clone();
        disk.virtual_size_bytes = merged.virtual_size_bytes;
        disk.data_bytes = merged.data_bytes;
        disk.zero_bytes = merged.zero_bytes;
        self.relink();
        true
    }

    /// The snapshot builds upon another one than before when none of its images is left that builds
    /// upon that.
    fn relink(&mut self) {
        let parents = self.disks.iter().filter_map(|disk| disk.backing.as_ref());
        let parents: Vec<_> = parents.map(snapshot_of).collect();
        if parents.is_empty() {
            self.snapshot_type = SnapshotType::Full;
            self.previous_snapshot_id = None;
        } else if !parents.contains(&self.previous_snapshot_id)
            && let Some(other) = parents.into_iter().flatten().next()
        {
            self.previous_snapshot_id = Some(other);
        }
    }
}

/// The snapshot in whose folder an image lies.
fn snapshot_of(image: &ObjectName) -> Option<SnapshotId> {
    let folder = image.parts().nth(1)?.strip_prefix("snapshot_")?;
    folder.parse().ok()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::layout::DiskName;
    use crate::manifest::{FORMAT_VERSION, HashUse};
    use crate::{Digest, HashAlgorithm};

    fn name(snapshot: u128, disk: &str) -> ObjectName {
        let snapshot = Uuid::from_u128(snapshot);
        ObjectName::new(format!("workload_1/snapshot_{snapshot}/v/r_{disk}/i")).unwrap()
    }

    fn record(name: ObjectName, what: &[u8]) -> ObjectRecord {
        ObjectRecord {
            name,
            size_bytes: what.len() as u64,
            blake3: Digest::of(what),
        }
    }

    fn disk(disk: &str) -> DiskEntry {
        DiskEntry {
            vm_id: Uuid::from_u128(4).into(),
            resource_id: Uuid::from_u128(5).into(),
            disk: DiskName::new(disk).unwrap(),
            image: record(name(3, disk), b"image"),
            index: record(name(3, disk).join("index").unwrap(), b"index"),
            backing: Some(name(2, disk)),
            size_bytes: 65536,
            virtual_size_bytes: 65536,
            cluster_size: 65536,
            data_bytes: 65536,
            zero_bytes: 0,
            mark: None,
        }
    }

    fn merged(of: &str, backing: Option<ObjectName>) -> MergedDisk {
        let before = disk(of);
        MergedDisk {
            image: record(before.image.name, b"merged image"),
            index: record(before.index.name, b"merged index"),
            backing,
            virtual_size_bytes: 65536,
            data_bytes: 0,
            zero_bytes: 65536,
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            workload_id: Uuid::from_u128(1).into(),
            snapshot_id: Uuid::from_u128(3).into(),
            snapshot_type: SnapshotType::Incremental,
            created_at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            previous_snapshot_id: Some(Uuid::from_u128(2).into()),
            hash: HashUse {
                algorithm: HashAlgorithm::Blake3,
                is_keyed: false,
            },
            disks: vec![disk("vda"), disk("vdb")],
            objects: Vec::new(),
        }
    }

    #[test]
    fn a_snapshot_builds_upon_another_one_when_no_disk_needs_the_old_one() {
        let mut manifest = manifest();
        let before = manifest.previous_snapshot_id;
        assert!(manifest.follow_merge(&merged("vda", Some(name(1, "vda")))));
        assert_eq!(manifest.previous_snapshot_id, before);
        assert_eq!(manifest.disks[0].image.blake3, Digest::of(b"merged image"));
        assert_eq!(manifest.disks[1], disk("vdb"));
        assert!(manifest.follow_merge(&merged("vdb", Some(name(1, "vdb")))));
        let after = SnapshotId::from(Uuid::from_u128(1));
        assert_eq!(manifest.previous_snapshot_id, Some(after));
        manifest.to_vec().unwrap();
    }

    #[test]
    fn a_snapshot_whose_disks_all_stand_alone_is_full() {
        let mut manifest = manifest();
        assert!(manifest.follow_merge(&merged("vda", None)));
        assert_eq!(manifest.snapshot_type, SnapshotType::Incremental);
        manifest.to_vec().unwrap();
        assert!(manifest.follow_merge(&merged("vdb", None)));
        assert_eq!(manifest.snapshot_type, SnapshotType::Full);
        assert_eq!(manifest.previous_snapshot_id, None);
        manifest.to_vec().unwrap();
    }

    #[test]
    fn an_image_of_another_snapshot_changes_nothing() {
        let mut manifest = manifest();
        let before = manifest.clone();
        assert!(!manifest.follow_merge(&merged("vdc", None)));
        assert_eq!(manifest, before);
    }
}
