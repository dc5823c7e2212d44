use std::path::PathBuf;

use agent_blocks::libvirt::BackupJob;
use agent_blocks::qemu_nbd::Layer;
use agent_contract::{PointId, PointRequest, PointStatus, TakenDisk};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::stamp::Stamp;

/// What the journal holds of a point.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: PointId,
    pub(crate) request: PointRequest,
    pub(crate) began_at: DateTime<Utc>,
    pub(crate) phase: Phase,
    pub(crate) parts: Parts,
}

/// Where a point stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing was begun, and the journal knows nothing of it.
    New,
    /// Any of its parts may be there.
    Taking,
    /// All of them are.
    Taken { disks: Vec<TakenDisk> },
    /// Any of them may be there yet.
    Ending { end: End },
    /// None of them is.
    Ended { why: String, at: DateTime<Utc> },
}

/// How a point ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// The marks that replace the earlier ones; none if the point is dropped.
    pub(crate) kept: Option<Vec<Mark>>,
    pub(crate) why: String,
    /// It never stood: nobody need know of it.
    pub(crate) is_forgotten: bool,
}

/// A record of changes on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) device: String,
    pub(crate) name: String,
}

/// What a point consists of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) snapshots: Vec<SnapshotPart>,
    pub(crate) job: Option<JobPart>,
    pub(crate) files: Vec<FilePart>,
}

/// An RBD snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SnapshotPart {
    pub(crate) device: String,
    pub(crate) pool: String,
    pub(crate) image: String,
    pub(crate) snapshot: String,
}

/// A backup job of a running guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct JobPart {
    /// Socket and scratch files: QEMU writes there.
    pub(crate) folder: PathBuf,
    pub(crate) job: BackupJob,
}

/// The file of a stopped guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FilePart {
    pub(crate) device: String,
    pub(crate) layers: Vec<Layer>,
    pub(crate) stamp: Stamp,
    /// Its bitmap of the changes since the earlier point.
    pub(crate) since: Option<String>,
}

impl Entry {
    pub(super) fn new(id: PointId, request: PointRequest) -> Self {
        Self {
            id,
            request,
            began_at: Utc::now(),
            phase: Phase::New,
            parts: Parts::default(),
        }
    }

    pub(super) fn guest(&self) -> String {
        self.request.server_id.to_string()
    }

    pub(super) fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::New | Phase::Ended { .. })
    }

    pub(super) fn status(&self, disks: &[TakenDisk]) -> PointStatus {
        PointStatus {
            id: self.id,
            disks: disks.to_vec(),
        }
    }

    /// Same server, same disks; whatever the claim.
    pub(super) fn is_same(&self, request: &PointRequest) -> bool {
        self.request.server_id == request.server_id && self.request.disks == request.disks
    }
}
