//! What a snapshot is going to do, decided once.

use agent_format::ObjectName;
use serde::{Deserialize, Serialize};
use services_types::{ServerId, SnapshotId, VolumeId, VolumeSnapshotId};

use crate::storage::VolumeStorage;

/// The plan of one snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SnapshotPlan {
    /// The snapshot that incremental disks build on; `None` when all are full.
    pub(super) backing_snapshot_id: Option<SnapshotId>,
    /// Every disk of every member; a volume attached to two of them stands here once.
    pub(super) disks: Vec<DiskPlan>,
    /// What the owner should know.
    pub(super) warnings: Vec<String>,
}

impl SnapshotPlan {
    pub(super) fn is_incremental(&self) -> bool {
        self.backing_snapshot_id.is_some()
    }
}

/// The plan of one disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DiskPlan {
    pub(super) server_id: ServerId,
    /// The compute host whose datamover reads it.
    pub(super) host: String,
    /// Without `/dev/`.
    pub(super) device: String,
    pub(super) volume_id: VolumeId,
    pub(super) size_bytes: u64,
    pub(super) storage: VolumeStorage,
    /// Where its image goes.
    pub(super) image: ObjectName,
    /// What its image holds the changes since; `None` for a full one.
    pub(super) base: Option<DiskBase>,
}

/// What an incremental disk builds on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DiskBase {
    /// The Cinder snapshot that the earlier image was made from.
    pub(super) volume_snapshot_id: VolumeSnapshotId,
    /// The earlier image.
    pub(super) image: ObjectName,
}
