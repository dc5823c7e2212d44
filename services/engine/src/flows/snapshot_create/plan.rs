//! What a snapshot is going to do, decided once.

use std::collections::BTreeMap;

use agent_format::ObjectName;
use serde::{Deserialize, Serialize};
use services_types::{AttachmentId, DiskId, ServerId, SnapshotId, VolumeId, VolumeSnapshotId};

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

    /// The volumes, and where their bytes are.
    pub(super) fn volumes(&self) -> impl Iterator<Item = (&DiskPlan, &VolumePlan)> {
        self.disks.iter().filter_map(|disk| match &disk.source {
            DiskSource::Volume(volume) => Some((disk, volume)),
            DiskSource::Nova => None,
        })
    }

    /// The disks that Nova keeps, by server.
    pub(super) fn disks_of_nova(&self) -> BTreeMap<&ServerId, Vec<&DiskPlan>> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for disk in &self.disks {
            if let DiskSource::Nova = disk.source {
                all.entry(&disk.server_id).or_default().push(disk);
            }
        }
        all
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
    pub(super) disk_id: DiskId,
    /// As far as it is known beforehand; some storages tell more when the disk is opened.
    pub(super) size_bytes: u64,
    pub(super) source: DiskSource,
    /// Where its image goes.
    pub(super) image: ObjectName,
    /// What its image holds the changes since; `None` for a full one.
    pub(super) base: Option<DiskBase>,
}

impl DiskPlan {
    /// For messages.
    pub(super) fn what(&self) -> String {
        format!("disk {} of server {}", self.device, self.server_id)
    }
}

/// What keeps a disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum DiskSource {
    /// A Cinder snapshot is taken of it.
    Volume(VolumePlan),
    /// Its host takes a point in time of it.
    Nova,
}

/// A volume to be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct VolumePlan {
    pub(super) volume_id: VolumeId,
    /// Whole GiB, as Cinder counts.
    pub(super) size_gib: u64,
    /// How the server is attached to it.
    pub(super) attachment_id: AttachmentId,
    pub(super) storage: VolumeStorage,
    /// Cinder has Nova take the snapshot.
    pub(super) is_snapshot_by_nova: bool,
}

/// What an incremental disk builds on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DiskBase {
    /// The earlier image.
    pub(super) image: ObjectName,
    /// What tells the changes since.
    pub(super) changes: Changes,
}

/// What tells the changes since an earlier image was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Changes {
    /// The Cinder snapshot that it was made from.
    Since(VolumeSnapshotId),
    /// The mark that the host has kept.
    Mark(String),
    /// All is read, and compared with what the image holds.
    ByHash,
}
