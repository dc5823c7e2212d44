//! Points in time of the disks that Nova keeps for a server (root, ephemeral, swap): Cinder cannot take
//! a snapshot of them, so the host does.
//!
//! All disks of a point show the same moment. A point is taken while the guest is frozen, read by
//! transfers whose source is [`DiskLocation::Point`](crate::DiskLocation::Point), and ended by who took
//! it. On RBD it is a snapshot that lives as long as the point; of a running guest with qcow2 files a
//! libvirt backup job; of a stopped one the files themselves, for as long as it stays stopped.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identity of a point. The engine derives it from its flow and server, so that a repeated step finds
/// the point it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointId(pub Uuid);

impl std::fmt::Display for PointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What is asked by `PUT /v2/hosts/{host}/points/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointRequest {
    /// Claim under which it is asked; a higher one takes the point over.
    pub epoch: i64,
    /// Libvirt domain: the server's id. A server has one point at a time.
    pub server_id: Uuid,
    /// Which of its disks; not its volumes.
    pub disks: Vec<PointDisk>,
}

/// One disk of a point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointDisk {
    /// As [`ServerDisk::device`](crate::ServerDisk::device).
    pub device: String,
    /// [`TakenDisk::mark`] of the earlier point to tell the changes since, if there is one.
    pub since: Option<String>,
}

/// A point as it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointStatus {
    /// Which.
    pub id: PointId,
    /// In the order of the request.
    pub disks: Vec<TakenDisk>,
}

/// One disk of a point that was taken. It is read as `DiskLocation::Point { point, device }`, its
/// changes with the same `since`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenDisk {
    /// Which.
    pub device: String,
    /// Its size at that moment.
    pub size_bytes: u64,
    /// What a later point gives as `since`, if this host can tell changes from here on and the point is
    /// ended with `keep_marks`; none: compare hashes then.
    pub mark: Option<String>,
    /// Why the changes since the earlier point cannot be told, in words for the snapshot's warning;
    /// none if they can, or were not asked for.
    pub changes_unknown: Option<String>,
}

/// What is asked by `DELETE /v2/hosts/{host}/points/{id}?epoch=N&keep_marks=BOOL`. No such point is
/// success, so that it can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointEnd {
    /// Claim under which it is asked.
    pub epoch: i64,
    /// The backups of this point stand: its marks replace the earlier ones. Else they are dropped, and
    /// the earlier ones stay good.
    pub keep_marks: bool,
}
