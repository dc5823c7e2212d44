//! The disks of a server as its hypervisor has them: what Nova's API does not tell.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Answer to `GET /v2/hosts/{host}/servers/{server_id}/disks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDisks {
    /// The guest runs (or is paused): its own disks change under us.
    pub is_running: bool,
    /// In the order of the domain's definition. Empty CD-ROMs are left out.
    pub disks: Vec<ServerDisk>,
}

/// A disk of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDisk {
    /// Its name in the guest's definition, `vda`; unique within the server.
    pub device: String,
    /// What it is.
    pub role: DiskRole,
    /// What keeps its bytes.
    pub storage: DiskStorage,
    /// The size the guest sees.
    pub size_bytes: u64,
}

/// What a disk of a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum DiskRole {
    /// A Cinder volume.
    Volume {
        /// Its id.
        volume_id: Uuid,
    },
    /// Made by Nova from the server's image.
    Root,
    /// Made by Nova as the flavor says.
    Ephemeral {
        /// Counted from 0.
        number: u32,
    },
    /// Made by Nova as the flavor says.
    Swap,
    /// Made by Nova for each boot: not worth keeping.
    ConfigDrive,
    /// A CD-ROM with a medium in it (rescue, a user's ISO), or something we do not know.
    Other,
}

/// What keeps a disk's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskStorage {
    /// An image in Ceph.
    Rbd,
    /// A qcow2 file: changes are tracked by dirty bitmaps.
    Qcow2File,
    /// A raw file: changes are found by hash.
    RawFile,
    /// A block device of the host.
    BlockDevice,
    /// Anything else; says no more, since nothing can be done with it.
    Other,
}
