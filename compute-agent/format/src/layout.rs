//! Which object has which name on a target (the table at the head of this crate).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{DiskSnapshotId, NameError, ObjectName, ResourceId, SnapshotId, VmId, WorkloadId};

/// JSON files that describe a workload as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadFile {
    /// The workload itself.
    Workload,
    /// Its member VMs.
    Vms,
}

impl WorkloadFile {
    /// Every file of this kind.
    pub const ALL: [Self; 2] = [Self::Workload, Self::Vms];

    fn file_name(self) -> &'static str {
        match self {
            Self::Workload => "workload_db",
            Self::Vms => "workload_vms_db",
        }
    }
}

/// JSON files that describe one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotFile {
    /// The snapshot itself.
    Snapshot,
    /// The VMs as they were.
    Vms,
    /// Their disks.
    Disks,
    /// Networks, subnets, routers and ports.
    Networks,
    /// Security groups and their rules.
    SecurityGroups,
}

impl SnapshotFile {
    /// Every file of this kind.
    pub const ALL: [Self; 5] = [
        Self::Snapshot,
        Self::Vms,
        Self::Disks,
        Self::Networks,
        Self::SecurityGroups,
    ];

    fn file_name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot_db",
            Self::Vms => "snapshot_vms_db",
            Self::Disks => "disk_db",
            Self::Networks => "network_db",
            Self::SecurityGroups => "security_group_db",
        }
    }
}

/// The folder of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkloadFolder {
    /// Whose folder it is.
    pub workload_id: WorkloadId,
}

impl WorkloadFolder {
    /// `workload_<id>`, for listing and deleting all of it.
    pub fn name(&self) -> ObjectName {
        ObjectName::from_ids(self.to_string())
    }

    /// The name of one of the workload's JSON files.
    pub fn file(&self, file: WorkloadFile) -> ObjectName {
        ObjectName::from_ids(format!("{self}/{}", file.file_name()))
    }

    /// The folder of one of its snapshots.
    pub fn snapshot(&self, snapshot_id: SnapshotId) -> SnapshotFolder {
        SnapshotFolder {
            workload_id: self.workload_id,
            snapshot_id,
        }
    }
}

impl fmt::Display for WorkloadFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "workload_{}", self.workload_id)
    }
}

/// The folder of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotFolder {
    /// Whose folder it is in.
    pub workload_id: WorkloadId,
    /// Whose folder it is.
    pub snapshot_id: SnapshotId,
}

impl SnapshotFolder {
    /// `workload_<id>/snapshot_<id>`, for listing and deleting all of it.
    pub fn name(&self) -> ObjectName {
        ObjectName::from_ids(self.to_string())
    }

    /// The object that makes the rest a backup; written last, deleted first.
    pub fn manifest(&self) -> ObjectName {
        ObjectName::from_ids(format!("{self}/manifest.json"))
    }

    /// The manifest of a snapshot that is being deleted, while later ones still need its images: no
    /// backup any more, but still what those images are.
    pub fn withdrawn_manifest(&self) -> ObjectName {
        ObjectName::from_ids(format!("{self}/manifest.withdrawn.json"))
    }

    /// The name of one of the snapshot's JSON files.
    pub fn file(&self, file: SnapshotFile) -> ObjectName {
        ObjectName::from_ids(format!("{self}/{}", file.file_name()))
    }

    /// The image of one disk.
    pub fn image(
        &self,
        vm_id: VmId,
        resource_id: ResourceId,
        disk: &DiskName,
        id: DiskSnapshotId,
    ) -> ObjectName {
        ObjectName::from_ids(format!(
            "{self}/vm_id_{vm_id}/vm_res_id_{resource_id}_{disk}/{id}"
        ))
    }
}

impl fmt::Display for SnapshotFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "workload_{}/snapshot_{}",
            self.workload_id, self.snapshot_id
        )
    }
}

/// The index that lies beside `image`.
pub fn index_of(image: &ObjectName) -> Result<ObjectName, NameError> {
    ObjectName::new(format!("{image}.index"))
}

/// The name a disk has in its VM, such as `vda`: 1 to 32 lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskName(String);

impl DiskName {
    /// Checks `name`; a path such as `/dev/vda` is not one.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let is_plain = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if is_plain && (1..=32).contains(&name.len()) {
            Ok(Self(name))
        } else {
            Err(NameError {
                name,
                why: "a disk is called by lower-case letters and digits",
            })
        }
    }

    /// `vda`, the first disk, or the only one.
    pub fn first() -> Self {
        Self("vda".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DiskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DiskName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl Serialize for DiskName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DiskName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id<T: From<Uuid>>(n: u128) -> T {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn names_are_those_that_operators_scripts_know() {
        let workload = WorkloadFolder { workload_id: id(1) };
        let snapshot = workload.snapshot(id(2));
        let u = |n: u128| Uuid::from_u128(n).to_string();
        let base = format!("workload_{}", u(1));
        assert_eq!(workload.name().as_str(), base);
        assert_eq!(
            workload.file(WorkloadFile::Vms).as_str(),
            format!("{base}/workload_vms_db")
        );
        let base = format!("{base}/snapshot_{}", u(2));
        assert_eq!(
            snapshot.manifest().as_str(),
            format!("{base}/manifest.json")
        );
        assert_eq!(
            snapshot.file(SnapshotFile::Disks).as_str(),
            format!("{base}/disk_db")
        );
        let image = snapshot.image(id(3), id(4), &DiskName::new("vda").unwrap(), id(5));
        let expected = format!("{base}/vm_id_{}/vm_res_id_{}_vda/{}", u(3), u(4), u(5));
        assert_eq!(image.as_str(), expected);
        assert_eq!(
            index_of(&image).unwrap().as_str(),
            format!("{expected}.index")
        );
        assert!(image.is_below(&snapshot.name()));
    }

    #[test]
    fn every_name_made_from_ids_keeps_the_rules() {
        let snapshot = SnapshotFolder {
            workload_id: id(u128::MAX),
            snapshot_id: id(0),
        };
        for name in SnapshotFile::ALL.map(|file| snapshot.file(file)) {
            assert_eq!(ObjectName::new(name.as_str()).unwrap(), name);
        }
    }

    #[test]
    fn a_disk_name_is_no_path() {
        for bad in ["", "/dev/vda", "vd a", "../vda", "VDA"] {
            assert!(DiskName::new(bad).is_err(), "{bad}");
        }
        assert_eq!(DiskName::new("vda").unwrap(), DiskName::first());
    }
}
