//! Moving one disk: from a snapshot to an image on a target, or back onto a volume.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ConnectionId, PointId};

/// Identity of a transfer. The engine derives it from its flow and disk, so that a repeated step
/// finds the transfer it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransferId(pub Uuid);

impl std::fmt::Display for TransferId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferRequest {
    /// Claim under which it is asked; a higher one takes the transfer over.
    pub epoch: i64,
    /// What to do. Two requests are the same transfer only if their jobs are equal.
    pub job: TransferJob,
}

/// What a transfer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TransferJob {
    /// Disk snapshot to image.
    Backup(BackupJob),
    /// Chain of images to volume.
    Restore(RestoreJob),
    /// Image and index off the target; gone already is success.
    Remove(RemoveJob),
    /// An image into its successor, which then needs it no more.
    Merge(MergeJob),
    /// Every byte of an image against its index.
    Verify(VerifyJob),
}

/// Disk snapshot to image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJob {
    /// Where the bytes are: a snapshot, never a disk that is written to.
    pub source: DiskLocation,
    /// The disk's true size, to check against the source.
    pub size_bytes: u64,
    /// Earlier state of the same disk to take the changes from, by the name its storage knows. Without
    /// it, or if the changes cannot be told, all is read and compared by hash with `backing`.
    pub since: Option<String>,
    /// Where the image goes.
    pub image: ImagePlace,
    /// Image of the earlier snapshot, on the same target; none makes a full image.
    pub backing: Option<ImagePlace>,
    /// What to do with data clusters.
    #[serde(default)]
    pub compression: ImageCompression,
}

/// What a backup does with data clusters. A chain may mix them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageCompression {
    /// Stores them as they are.
    #[default]
    None,
    /// Zstandard: QEMU 5.1 and newer read it.
    Zstd,
    /// Deflate: every QEMU reads it.
    Zlib,
}

/// Chain of images to volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreJob {
    /// Newest image first, the full one last; all on one target.
    pub chain: Vec<ImagePlace>,
    /// The disk's true size: what is written, whatever the volume's size.
    pub size_bytes: u64,
    /// What is filled; reserved for us, nobody else writes to it.
    pub destination: DiskLocation,
    /// The volume is new and reads as zeroes: zeroes need not be written.
    pub is_destination_zeroed: bool,
    /// What the manifests say of the chain's images, in its order, to be compared before the first byte
    /// is written; empty: not compared.
    #[serde(default)]
    pub digests: Vec<ImageDigests>,
}

/// Digests of an image and its index as the manifest has them, 64 hex digits each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDigests {
    /// Of the image's head.
    pub image_blake3: String,
    /// In the index's trailer.
    pub index_blake3: String,
}

/// An image into its successor: afterwards the successor shows the same disk, and builds upon what the
/// image built upon. The image is gone then. Crash-safe: asked again, it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeJob {
    /// What goes: a backup that nobody wants any more.
    pub image: ImagePlace,
    /// The only image that builds upon it; keeps its name.
    pub successor: ImagePlace,
}

/// Every byte of an image against its index, and both against their digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyJob {
    /// What to verify; images it builds upon are not looked at.
    pub image: ImagePlace,
    /// What the manifest says of it; none: only whether the two fit each other.
    #[serde(default)]
    pub digests: Option<ImageDigests>,
}

/// Image and index off the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveJob {
    /// What to remove.
    pub image: ImagePlace,
}

/// A disk as the datamover's host reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DiskLocation {
    /// An image in Ceph; the host's own configuration has cluster address and key.
    Rbd {
        /// Pool, as Cinder's attachment names it.
        pool: String,
        /// Image, as Cinder's attachment names it.
        image: String,
        /// Snapshot of the image to read; `None` to write to the image.
        snapshot: Option<String>,
    },
    /// A raw file or block device on the host; the host's configuration lists the folders allowed.
    Raw {
        /// Absolute path.
        path: String,
    },
    /// A disk of a point in time that this host has taken.
    Point {
        /// Which point.
        point: PointId,
        /// Which of its disks.
        device: String,
    },
    /// A volume that this host is connected to.
    Connection {
        /// Which connection.
        connection: ConnectionId,
        /// Cinder's id of a snapshot of the volume, where the volume is a file on a share and the
        /// snapshot a file beside it; `None`: the volume itself.
        snapshot: Option<String>,
    },
}

/// An image on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePlace {
    /// Which target, by the id in each host's configuration.
    pub target: String,
    /// Name relative to the target's root; the index stands beside it as `NAME.index`.
    pub name: String,
}

/// How a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferStatus {
    /// Which.
    pub id: TransferId,
    /// Newest epoch the host has seen for it.
    pub epoch: i64,
    /// Where it stands.
    pub state: TransferState,
    /// How far it is.
    pub progress: TransferProgress,
}

/// Where a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TransferState {
    /// Waits for a free worker.
    Queued,
    /// Moves bytes.
    Running,
    /// Complete and on stable storage.
    Done(TransferOutcome),
    /// Ended; asking again with a new epoch tries again from where it stands.
    Failed {
        /// What went wrong, for an operator.
        message: String,
        /// What went wrong, for the tenant; no host names, no paths.
        tenant_message: String,
        /// Trying again may help (lost connection), or will not (missing snapshot, damage).
        is_transient: bool,
    },
    /// Stopped on request; what it made is removed.
    Cancelled,
}

/// Counters, for people and for tests. All since the transfer began, over restarts of the datamover,
/// except `read_since_start_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferProgress {
    /// Bytes that must be read, as far as known: allocated or changed extents.
    pub total_bytes: u64,
    /// Of those, done.
    pub done_bytes: u64,
    /// Read from the source by this process: proves that a resumed transfer did not start over.
    pub read_since_start_bytes: u64,
    /// Current rate.
    pub bytes_per_second: u64,
}

/// What a finished transfer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum TransferOutcome {
    /// A backup's image.
    Image(ImageFacts),
    /// A volume was filled; every cluster matched its digest.
    Filled {
        /// Data bytes written.
        written_bytes: u64,
    },
    /// An image was removed.
    Removed,
    /// The successor as it is now.
    Merged(ImageFacts),
    /// An image was read whole.
    Verified {
        /// Guest bytes whose digests were compared.
        verified_bytes: u64,
        /// What is wrong, the first of it by name (image, guest offset); empty: nothing.
        damage: Vec<String>,
    },
}

/// What the manifest says of an image; digests as `agent-format`'s manifest defines them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Length of the image object.
    pub image_size_bytes: u64,
    /// Digest of the image's head, 64 hex digits.
    pub image_blake3: String,
    /// Length of the index object.
    pub index_size_bytes: u64,
    /// The digest in the index's trailer, 64 hex digits; the index has the digest of every cluster.
    pub index_blake3: String,
    /// Size of the virtual disk as QCOW2 has it (whole 512-byte sectors).
    pub virtual_size_bytes: u64,
    /// Cluster size of image and index.
    pub cluster_size: u32,
    /// Guest bytes that the image itself holds, in whole clusters.
    pub data_bytes: u64,
    /// Guest bytes that the image declares to be zero although its parent may not.
    pub zero_bytes: u64,
    /// What the reader should know: "changes unknown, all was read", ...
    pub warnings: Vec<String>,
}
