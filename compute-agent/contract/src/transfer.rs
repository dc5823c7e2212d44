//! Moving one disk: from a snapshot to an image on a target, or back onto a volume.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
}

/// Disk snapshot to image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupJob {
    /// Where the bytes are: a snapshot, never a disk that is written to.
    pub source: DiskLocation,
    /// The disk's true size, to check against the source.
    pub size_bytes: u64,
    /// Earlier snapshot of the same disk to take the changes from; `None` makes a full image.
    pub since: Option<String>,
    /// Where the image goes.
    pub image: ImagePlace,
    /// Image of the earlier snapshot, on the same target; set exactly when `since` is.
    pub backing: Option<ImagePlace>,
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
