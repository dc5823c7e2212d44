//! Typed ids: a volume's id cannot be handed over where a snapshot's is wanted.
//!
//! Two families. What Backstay makes has a UUID. What the cloud makes has whatever the cloud gives
//! it (Keystone's are 32 hex digits, flavors any word); these are checked to be safe as one segment
//! of a URL or a path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Text that cannot be an id of the kind that was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not the id of a {what}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
}

/// More than any real id and still short enough for a log line.
const LONGEST: usize = 255;

fn is_one_segment(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && text != "."
        && text != ".."
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

macro_rules! own_ids {
    ($($(#[$meta:meta])* $name:ident = $what:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh random id.
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The id with this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| InvalidId { what: $what, text: shortened(text) })
            }
        }
    )+};
}

macro_rules! cloud_ids {
    ($($(#[$meta:meta])* $name:ident = $what:literal),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as the cloud writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                if is_one_segment(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidId { what: $what, text: shortened(&text) })
                }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    )+};
}

own_ids! {
    /// A workload.
    WorkloadId = "workload",
    /// A workload type: serial or parallel.
    WorkloadTypeId = "workload type",
    /// A snapshot of a workload: a backup, not a Cinder snapshot ([`VolumeSnapshotId`]).
    SnapshotId = "snapshot",
    /// A restore.
    RestoreId = "restore",
    /// A flow: one long operation with steps and undo.
    FlowId = "flow",
    /// A disk in backups: the UUID of its Cinder volume, or one that stands for a disk of Nova's own.
    DiskId = "disk",
}

impl DiskId {
    /// Stands for the disk that Nova made for a server: the same in every snapshot.
    pub fn of_server(server_id: &Uuid, role: crate::NovaDiskRole) -> Self {
        Self(Uuid::new_v5(server_id, role.to_string().as_bytes()))
    }
}

cloud_ids! {
    /// A Keystone project.
    ProjectId = "project",
    /// A Keystone user.
    UserId = "user",
    /// A Keystone trust.
    TrustId = "trust",
    /// A Nova server.
    ServerId = "server",
    /// A Nova flavor.
    FlavorId = "flavor",
    /// A Glance image.
    ImageId = "image",
    /// A Cinder volume.
    VolumeId = "volume",
    /// A Cinder snapshot of one volume.
    VolumeSnapshotId = "volume snapshot",
    /// A Cinder attachment.
    AttachmentId = "attachment",
    /// A Neutron network.
    NetworkId = "network",
    /// A Neutron subnet.
    SubnetId = "subnet",
    /// A Neutron router.
    RouterId = "router",
    /// A Neutron port.
    PortId = "port",
    /// A Neutron security group.
    SecurityGroupId = "security group",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_id_that_could_leave_its_path_segment_is_refused() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a%2fb",
            "a b",
            "a?b",
            &"x".repeat(256),
        ] {
            assert!(ServerId::from_str(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_openstack_gives_out_is_accepted() {
        for good in [
            "6c1f0a5c-7f5e-4a59-9a0d-1f0e0e0f3f11",
            "8d9f0e1d2c3b4a59",
            "m1.tiny",
            "lab_1",
        ] {
            assert_eq!(
                FlavorId::from_str(good).map(String::from),
                Ok(good.to_owned())
            );
        }
    }

    #[test]
    fn an_own_id_must_be_a_uuid() {
        let refused = SnapshotId::from_str("latest").unwrap_err();
        assert_eq!(refused.to_string(), "`latest` is not the id of a snapshot");
    }

    #[test]
    fn ids_travel_through_json_as_plain_strings() {
        let id = VolumeId::from_str("vol-1").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"vol-1\"");
        assert!(serde_json::from_str::<VolumeId>("\"../etc\"").is_err());
    }
}
