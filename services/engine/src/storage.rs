//! Where a volume's bytes are and how they are read, told from Cinder's own record of an attachment,
//! never from a name pattern (architecture D13): volumes migrate, names change.
//!
//! | what Cinder's driver says | a snapshot is read as | changes since an earlier one |
//! |---|---|---|
//! | `rbd` | an RBD snapshot | told by Ceph, from the snapshot that is kept |
//! | `local` (tests) | a file beside the volume's | told by comparison with the file that is kept |
//! | `nfs` | a file beside the volume's, on a share that the host mounts | told by the files, from the snapshot that is kept |
//! | anything else | a volume made of the snapshot, connected to the host | found by hash; no snapshot is kept |

use agent_contract::{ConnectionId, DiskLocation};
use serde::{Deserialize, Serialize};
use services_openstack::ports::Attachment;
use services_types::VolumeSnapshotId;

use crate::runner::StepFailure;
use crate::settings::EngineSettings;

/// Where a volume's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum VolumeStorage {
    /// An image in Ceph.
    Rbd { pool: String, image: String },
    /// A raw file that every datamover reaches.
    File { path: String },
    /// A file on a share that a host must mount; its snapshots are files beside it.
    Share,
    /// Something that a host must be connected to, and that shows the host no snapshots.
    Device,
}

impl VolumeStorage {
    /// Reads it out of an attachment.
    pub(crate) fn of(
        attachment: &Attachment,
        settings: &EngineSettings,
    ) -> Result<Self, StepFailure> {
        let info = &attachment.connection_info;
        let text = |key: &str| info.get(key).and_then(serde_json::Value::as_str);
        let incomplete = |what: &str| {
            StepFailure::new(format!(
                "Cinder does not say where volume {} lies: its attachment has no {what}",
                attachment.volume_id
            ))
        };
        match text("driver_volume_type") {
            Some(driver) if settings.copied_drivers.iter().any(|it| it == driver) => {
                Ok(Self::Device)
            }
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
            Some("nfs") => Ok(Self::Share),
            Some(_) => Ok(Self::Device),
            None => Err(incomplete("`driver_volume_type`")),
        }
    }

    /// Whether Cinder has Nova take the snapshots of such a volume while a server uses it: its files are
    /// the hypervisor's then. Nova freezes the guest for each of them by itself.
    pub(crate) fn is_snapshot_by_nova(attachment: &Attachment) -> bool {
        const ON_FILES: [&str; 5] = ["nfs", "glusterfs", "quobyte", "smbfs", "vzstorage"];
        let driver = attachment.connection_info.get("driver_volume_type");
        driver
            .and_then(serde_json::Value::as_str)
            .is_some_and(|driver| ON_FILES.contains(&driver))
    }

    /// A host must be connected to it before its datamover can read or write it.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self, Self::Share | Self::Device)
    }

    /// Its snapshots cannot be read: a volume made of one is read instead, and no snapshot is kept.
    pub(crate) fn is_copied(&self) -> bool {
        matches!(self, Self::Device)
    }

    /// What is read: one of its snapshots, or the copy that was made of it.
    pub(crate) fn snapshot(
        &self,
        id: &VolumeSnapshotId,
        connection: ConnectionId,
        settings: &EngineSettings,
    ) -> DiskLocation {
        let name = settings.volume_snapshot_name(id);
        match self {
            Self::Rbd { pool, image } => DiskLocation::Rbd {
                pool: pool.clone(),
                image: image.clone(),
                snapshot: Some(name),
            },
            Self::File { path } => DiskLocation::Raw {
                path: format!("{path}.{name}"),
            },
            Self::Share => DiskLocation::Connection {
                connection,
                snapshot: Some(id.to_string()),
            },
            Self::Device => DiskLocation::Connection {
                connection,
                snapshot: None,
            },
        }
    }

    /// What an earlier snapshot of it is called when changes since then are asked for; `None`: they
    /// are found by hash.
    pub(crate) fn since(&self, id: &VolumeSnapshotId, settings: &EngineSettings) -> Option<String> {
        let name = settings.volume_snapshot_name(id);
        match self {
            Self::Rbd { .. } => Some(name),
            Self::File { path } => Some(format!("{path}.{name}")),
            Self::Share => Some(id.to_string()),
            Self::Device => None,
        }
    }

    /// The volume itself, to be written to.
    pub(crate) fn whole(&self, connection: ConnectionId) -> DiskLocation {
        match self {
            Self::Rbd { pool, image } => DiskLocation::Rbd {
                pool: pool.clone(),
                image: image.clone(),
                snapshot: None,
            },
            Self::File { path } => DiskLocation::Raw { path: path.clone() },
            Self::Share | Self::Device => DiskLocation::Connection {
                connection,
                snapshot: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn attachment(connection_info: Value) -> Attachment {
        Attachment {
            id: "a".parse().unwrap(),
            volume_id: "v".parse().unwrap(),
            status: "attached".to_owned(),
            connection_info,
        }
    }

    fn settings(copied_drivers: &[&str]) -> EngineSettings {
        let text = format!(
            "[engine]\nname = e\nvolumes_read_from_a_copy = {}\n[target]\nid = t\n",
            copied_drivers.join(",")
        );
        let config =
            services_foundation::config::Config::from_texts([("test".into(), text)], []).unwrap();
        EngineSettings::from_config(&config).unwrap()
    }

    fn of(connection_info: Value, copied_drivers: &[&str]) -> VolumeStorage {
        let settings = settings(copied_drivers);
        VolumeStorage::of(&attachment(connection_info), &settings).unwrap()
    }

    #[test]
    fn the_way_follows_from_what_the_driver_says() {
        let rbd = json!({ "driver_volume_type": "rbd", "name": "fast/volume-migrated" });
        let in_ceph = VolumeStorage::Rbd {
            pool: "fast".to_owned(),
            image: "volume-migrated".to_owned(),
        };
        let nfs = json!({ "driver_volume_type": "nfs", "export": "h:/x", "name": "volume-v" });
        let driver = |name: &str| json!({ "driver_volume_type": name });
        // What it says, drivers that an operator wants read from copies, what follows.
        let table = [
            (rbd.clone(), vec![], in_ceph),
            (rbd, vec!["rbd"], VolumeStorage::Device),
            (nfs.clone(), vec![], VolumeStorage::Share),
            (nfs.clone(), vec!["rbd"], VolumeStorage::Share),
            (nfs, vec!["iscsi", "nfs"], VolumeStorage::Device),
            (driver("iscsi"), vec![], VolumeStorage::Device),
            (driver("fibre_channel"), vec![], VolumeStorage::Device),
            (driver("nvmeof"), vec![], VolumeStorage::Device),
            (driver("something-new"), vec![], VolumeStorage::Device),
        ];
        for (info, copied, expected) in table {
            assert_eq!(of(info.clone(), &copied), expected, "{info} {copied:?}");
        }
    }

    #[test]
    fn what_is_read_and_what_tells_the_changes() {
        let (settings, id) = (settings(&[]), "s1".parse().unwrap());
        let connection = ConnectionId(Uuid::from_u128(1));
        let connected = |snapshot: Option<&str>| DiskLocation::Connection {
            connection,
            snapshot: snapshot.map(str::to_owned),
        };
        let rbd = VolumeStorage::Rbd {
            pool: "p".to_owned(),
            image: "i".to_owned(),
        };
        let in_ceph = |snapshot: Option<&str>| DiskLocation::Rbd {
            pool: "p".to_owned(),
            image: "i".to_owned(),
            snapshot: snapshot.map(str::to_owned),
        };
        let file = VolumeStorage::File {
            path: "/v".to_owned(),
        };
        let raw = |path: &str| DiskLocation::Raw {
            path: path.to_owned(),
        };
        let table = [
            (
                rbd,
                in_ceph(Some("snapshot-s1")),
                Some("snapshot-s1"),
                in_ceph(None),
            ),
            (
                file,
                raw("/v.snapshot-s1"),
                Some("/v.snapshot-s1"),
                raw("/v"),
            ),
            (
                VolumeStorage::Share,
                connected(Some("s1")),
                Some("s1"),
                connected(None),
            ),
            (
                VolumeStorage::Device,
                connected(None),
                None,
                connected(None),
            ),
        ];
        for (storage, read, since, whole) in table {
            assert_eq!(storage.snapshot(&id, connection, &settings), read);
            assert_eq!(
                storage.since(&id, &settings).as_deref(),
                since,
                "{storage:?}"
            );
            assert_eq!(storage.whole(connection), whole);
            assert_eq!(storage.is_copied(), since.is_none(), "{storage:?}");
        }
    }

    #[test]
    fn an_attachment_without_a_connection_is_an_error_and_no_guess() {
        for info in [json!({}), json!({ "driver_volume_type": "rbd" })] {
            assert!(VolumeStorage::of(&attachment(info), &settings(&[])).is_err());
        }
    }
}
