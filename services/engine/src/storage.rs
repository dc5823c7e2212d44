//! Where a volume's bytes are, told from Cinder's own record of an attachment, never from a name
//! pattern (architecture D13): volumes migrate, names change.

use agent_contract::DiskLocation;
use serde::{Deserialize, Serialize};
use services_openstack::ports::Attachment;

use crate::runner::StepFailure;

/// Where a volume's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum VolumeStorage {
    /// An image in Ceph.
    Rbd { pool: String, image: String },
    /// A raw file that every datamover reaches.
    File { path: String },
}

impl VolumeStorage {
    /// Reads it out of an attachment. Drivers that no datamover can read yet are refused by name.
    pub(crate) fn of(attachment: &Attachment) -> Result<Self, StepFailure> {
        let info = &attachment.connection_info;
        let text = |key: &str| info.get(key).and_then(serde_json::Value::as_str);
        let incomplete = |what: &str| {
            StepFailure::new(format!(
                "Cinder does not say where volume {} lies: its attachment has no {what}",
                attachment.volume_id
            ))
        };
        match text("driver_volume_type") {
            Some("rbd") => {
                let name = text("name").ok_or_else(|| incomplete("`name`"))?;
                let (pool, image) = name
                    .split_once('/')
                    .ok_or_else(|| incomplete("`pool/image` in `name`"))?;
                Ok(Self::Rbd {
                    pool: pool.to_owned(),
                    image: image.to_owned(),
                })
            }
            Some("local") => {
                let path = info
                    .pointer("/data/device_path")
                    .and_then(serde_json::Value::as_str)
                    .or_else(|| text("device_path"))
                    .ok_or_else(|| incomplete("`device_path`"))?;
                Ok(Self::File {
                    path: path.to_owned(),
                })
            }
            Some(other) => Err(StepFailure::new(format!(
                "Volume {} lies on storage of type `{other}`, which cannot be protected yet",
                attachment.volume_id
            ))),
            None => Err(incomplete("`driver_volume_type`")),
        }
    }

    /// One of its snapshots, by the name it has on the storage.
    pub(crate) fn snapshot(&self, name: &str) -> DiskLocation {
        match self {
            Self::Rbd { pool, image } => DiskLocation::Rbd {
                pool: pool.clone(),
                image: image.clone(),
                snapshot: Some(name.to_owned()),
            },
            Self::File { path } => DiskLocation::Raw {
                path: format!("{path}.{name}"),
            },
        }
    }

    /// What an earlier snapshot of it is called when changes since then are asked for.
    pub(crate) fn since(&self, name: &str) -> String {
        match self {
            Self::Rbd { .. } => name.to_owned(),
            Self::File { path } => format!("{path}.{name}"),
        }
    }

    /// The volume itself, to be written to.
    pub(crate) fn whole(&self) -> DiskLocation {
        match self {
            Self::Rbd { pool, image } => DiskLocation::Rbd {
                pool: pool.clone(),
                image: image.clone(),
                snapshot: None,
            },
            Self::File { path } => DiskLocation::Raw { path: path.clone() },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attachment(connection_info: serde_json::Value) -> Attachment {
        Attachment {
            id: "a".parse().unwrap(),
            volume_id: "v".parse().unwrap(),
            status: "attached".to_owned(),
            connection_info,
        }
    }

    #[test]
    fn pool_and_image_are_what_cinder_says() {
        let found = VolumeStorage::of(&attachment(json!({
            "driver_volume_type": "rbd", "name": "fast/volume-migrated"
        })));
        let expected = VolumeStorage::Rbd {
            pool: "fast".to_owned(),
            image: "volume-migrated".to_owned(),
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn storage_that_cannot_be_read_is_named() {
        let found = VolumeStorage::of(&attachment(json!({"driver_volume_type": "iscsi"})));
        assert!(found.unwrap_err().tenant_message.contains("`iscsi`"));
    }

    #[test]
    fn an_attachment_without_a_connection_is_an_error_and_no_guess() {
        assert!(VolumeStorage::of(&attachment(json!({}))).is_err());
        assert!(VolumeStorage::of(&attachment(json!({"driver_volume_type": "rbd"}))).is_err());
    }
}
