use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent_contract::{ImagePlace, TransferId, TransferJob, TransferOutcome};
use agent_format::ObjectName;
use agent_format::layout::index_of;
use agent_target::Target;

use super::entry::Work;
use super::error::JobError;
use super::throttle::Throttle;
use super::ticket::Ticket;
use super::{backup, merge, remove, restore, verify};
use crate::disks::Disks;
use crate::journal::{Journal, JournalError};
use crate::targets::Targets;

/// What all transfers of this host share.
pub(crate) struct Host {
    pub(crate) targets: Targets,
    pub(crate) disks: Disks,
    pub(crate) throttle: Throttle,
    pub(crate) checkpoint_interval: Duration,
    pub(crate) journal: Journal,
}

/// One transfer under way.
pub(crate) struct Run<'a> {
    pub(crate) id: TransferId,
    pub(crate) host: &'a Host,
    pub(crate) ticket: &'a Ticket,
    /// Where it stood when it was interrupted.
    pub(crate) work: Option<Work>,
    /// Writes down where it stands; fails if it must not go on.
    pub(crate) save: &'a (dyn Fn(Work) -> Result<(), JournalError> + Sync),
}

/// An image and its index on a target.
pub(crate) struct Place {
    pub(crate) target: Arc<dyn Target>,
    pub(crate) image: ObjectName,
    pub(crate) index: ObjectName,
}

impl Place {
    /// Another image of the same target.
    pub(crate) fn beside(&self, image: ObjectName) -> Result<Self, JobError> {
        let index = index_of(&image).map_err(|error| JobError::Refused(error.to_string()))?;
        Ok(Self {
            target: self.target.clone(),
            image,
            index,
        })
    }
}

impl Host {
    pub(crate) fn place(&self, image: &ImagePlace) -> Result<Place, JobError> {
        let no_name = |error: agent_format::NameError| JobError::Refused(error.to_string());
        let target = self.targets.get(&image.target);
        let target = target.ok_or_else(|| JobError::NoTarget(image.clone()))?;
        let image = ObjectName::new(image.name.as_str()).map_err(no_name)?;
        let index = index_of(&image).map_err(no_name)?;
        Ok(Place {
            target,
            image,
            index,
        })
    }

    /// Everything of a transfer's that is not the target's.
    pub(crate) fn plan_path(&self, id: TransferId) -> PathBuf {
        self.journal.file(id.0, "plan")
    }

    /// Removes what a transfer made: an interrupted one, or a finished one that nobody wants.
    pub(crate) fn drop_results(&self, job: &TransferJob) -> Result<(), JobError> {
        match job {
            TransferJob::Backup(job) => remove::drop_image(&self.place(&job.image)?),
            TransferJob::Merge(job) => merge::abandon(self, job),
            TransferJob::Restore(_) | TransferJob::Remove(_) | TransferJob::Verify(_) => Ok(()),
        }
    }
}

impl Run<'_> {
    pub(crate) fn carry_out(&self, job: &TransferJob) -> Result<TransferOutcome, JobError> {
        match job {
            TransferJob::Backup(job) => {
                merge::finish_before(self.host, &job.backing)?;
                backup::run(self, job).map(TransferOutcome::Image)
            }
            TransferJob::Restore(job) => {
                merge::finish_before_reading(self.host, &job.chain)?;
                restore::run(self, job)
            }
            TransferJob::Remove(job) => {
                merge::finish_before(self.host, [&job.image])?;
                remove::run(self, job)
            }
            TransferJob::Verify(job) => {
                merge::finish_before_reading(self.host, [&job.image])?;
                verify::run(self, job)
            }
            TransferJob::Merge(job) => {
                // Its own may be one of those: it then says what that has made.
                merge::finish_before(self.host, [&job.image, &job.successor])?;
                merge::run(self, job)
            }
        }
    }
}
