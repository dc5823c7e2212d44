//! The ids that names on a target are made of, each with a type of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

typed_id! {
    /// A workload: the group of VMs that are protected together.
    WorkloadId
}
typed_id! {
    /// One backup of a workload.
    SnapshotId
}
typed_id! {
    /// A VM, as Nova knows it.
    VmId
}
typed_id! {
    /// What holds a disk's data: the Cinder volume id, or Nova's id of a local disk.
    ResourceId
}
typed_id! {
    /// One disk in one snapshot; it names the image.
    DiskSnapshotId
}
