use std::collections::BTreeSet;

use agent_contract::{
    DiskLocation, ImagePlace, TransferId, TransferJob, TransferProgress, TransferState,
};
use agent_format::index::IndexCheckpoint;
use agent_qcow2::Checkpoint;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::disks::Disks;
use crate::targets::{Targets, object_name};

/// What the journal holds of a transfer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: TransferId,
    pub(crate) epoch: i64,
    pub(crate) job: TransferJob,
    pub(crate) state: TransferState,
    pub(crate) progress: TransferProgress,
    pub(crate) work: Option<Work>,
    pub(crate) changed_at: DateTime<Utc>,
}

/// Where to go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Work {
    Backup(Box<BackupWork>),
    Restore(RestoreWork),
}

/// Both objects as they are on stable storage, at the same cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BackupWork {
    pub(crate) image: Checkpoint,
    pub(crate) index: IndexCheckpoint,
    /// Clusters before this one are in the objects, or are not of the backup.
    pub(crate) next_cluster: u64,
    /// Nothing is left to be read.
    pub(crate) is_read: bool,
    /// The plan is all of the disk, and what is as it was at the backup before is left out.
    #[serde(default)]
    pub(crate) is_compared: bool,
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
}

/// Everything before the offset is on the volume's stable storage.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct RestoreWork {
    pub(crate) offset: u64,
    pub(crate) done_bytes: u64,
    pub(crate) written_bytes: u64,
}

impl Entry {
    pub(crate) fn new(id: TransferId, epoch: i64, job: TransferJob) -> Self {
        Self {
            id,
            epoch,
            job,
            state: TransferState::Queued,
            progress: TransferProgress::default(),
            work: None,
            changed_at: Utc::now(),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state, TransferState::Queued | TransferState::Running)
    }
}

/// Why this job cannot be one of this host, if so; before it is taken up.
pub(crate) fn check_job(job: &TransferJob, targets: &Targets, disks: &Disks) -> Result<(), String> {
    match job {
        TransferJob::Backup(job) => {
            check_image(&job.image, targets)?;
            if job.size_bytes == 0 {
                return Err("a disk of 0 bytes cannot be backed up".to_owned());
            }
            if job.since.is_some() && job.backing.is_none() {
                return Err("since needs a backing image".to_owned());
            }
            if let Some(backing) = &job.backing {
                check_image(backing, targets)?;
                if backing.target != job.image.target || backing.name == job.image.name {
                    return Err("the backing image must be another one of the same target".into());
                }
            }
            if let DiskLocation::Rbd { snapshot: None, .. } = job.source {
                return Err("the source must be a snapshot".to_owned());
            }
            if let Some(since) = &job.since {
                disks.check_since(&job.source, since)?;
            }
            disks.check(&job.source)
        }
        TransferJob::Restore(job) => {
            let targets_of_chain: BTreeSet<_> = job.chain.iter().map(|i| &i.target).collect();
            if targets_of_chain.len() != 1 {
                return Err("the chain must have images, all on one target".to_owned());
            }
            job.chain
                .iter()
                .try_for_each(|image| check_image(image, targets))?;
            if let DiskLocation::Rbd {
                snapshot: Some(_), ..
            } = job.destination
            {
                return Err("a snapshot cannot be filled".to_owned());
            }
            disks.check(&job.destination)
        }
        TransferJob::Remove(job) => check_image(&job.image, targets),
        TransferJob::Verify(job) => check_image(&job.image, targets),
        TransferJob::Merge(job) => {
            check_image(&job.image, targets)?;
            check_image(&job.successor, targets)?;
            if job.image.target != job.successor.target || job.image.name == job.successor.name {
                return Err("the two images must be different ones of one target".to_owned());
            }
            Ok(())
        }
    }
}

fn check_image(image: &ImagePlace, targets: &Targets) -> Result<(), String> {
    object_name(&image.name)?;
    match targets.get(&image.target) {
        Some(_) => Ok(()),
        None => Err(format!(
            "target {:?} is not in this host's configuration",
            image.target
        )),
    }
}
