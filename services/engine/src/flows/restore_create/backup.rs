//! A backup as it lies on the target.

use agent_contract::ImageDigests;
use agent_format::ObjectName;
use serde::{Deserialize, Serialize};
use services_types::{DiskId, ServerId, Topology};

/// All that a restore needs of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Backup {
    pub(super) topology: Topology,
    pub(super) disks: Vec<BackupDisk>,
}

/// One disk of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BackupDisk {
    pub(super) server_id: ServerId,
    pub(super) disk_id: DiskId,
    /// True size, whatever QCOW2 rounds it to.
    pub(super) size_bytes: u64,
    /// Newest image first, the full one last.
    pub(super) chain: Vec<ObjectName>,
    /// What the manifests say of the chain's images, in its order.
    #[serde(default)]
    pub(super) digests: Vec<ImageDigests>,
}
