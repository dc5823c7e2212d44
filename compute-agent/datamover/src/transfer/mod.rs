//! Transfers: one disk each, from a snapshot to an image on a target or back onto a volume.
//!
//! | file | |
//! |---|---|
//! | `table` | all transfers of this host: asked for, shown, cancelled, fenced, remembered |
//! | `worker` | the threads that carry them out |
//! | `entry` | what the journal holds of one |
//! | `run` | what one needs to be carried out; `backup`, `restore`, `remove`, `merge`, `verify` do it |
//! | `plan`, `clusters`, `reading`, `lineage` | what is read, as whole clusters; reading objects; what an image builds upon |
//! | `owners` | which image of a chain has the newest word on a cluster |
//! | `pipeline` | batches of work, several threads, results in order |
//! | `ticket`, `throttle` | progress and interruption; how fast |

mod backup;
mod clusters;
mod entry;
mod error;
mod lineage;
mod merge;
mod owners;
mod pipeline;
mod plan;
mod reading;
mod remove;
mod restore;
mod run;
mod table;
#[cfg(test)]
mod test_host;
mod throttle;
mod ticket;
mod verify;
mod worker;

use agent_blocks::{DiskSource, WriteDisk};
use agent_contract::{BackupJob, ImageFacts, ImagePlace, RestoreJob, TransferOutcome};

pub(crate) use entry::Work;
pub(crate) use error::{JobError, disk};
pub(crate) use run::{Host, Run};
pub(crate) use table::Transfers;
pub(crate) use throttle::Throttle;
pub(crate) use ticket::{Interrupted, Ticket};
pub(crate) use verify::verify_image;
pub(crate) use worker::start as start_workers;

/// A backup of a disk that the caller opens, whatever the job says of where it is.
pub(crate) fn back_up(
    run: &Run<'_>,
    job: &BackupJob,
    open: impl FnOnce() -> Result<Box<dyn DiskSource>, JobError>,
) -> Result<ImageFacts, JobError> {
    merge::finish_before(run.host, &job.backing)?;
    backup::run_from(run, job, open)
}

/// Brings merges to their end that one of these images takes part in and that cannot be undone any more;
/// says whether there were any.
pub(crate) fn finish_merges(host: &Host, images: &[ImagePlace]) -> Result<bool, JobError> {
    merge::finish_before(host, images)
}

/// Whether there are any such merges.
pub(crate) fn has_visible_merges(host: &Host, images: &[ImagePlace]) -> Result<bool, JobError> {
    merge::is_visible_before(host, images)
}

/// A restore onto a disk that the caller has opened, whatever the job says of where it is.
pub(crate) fn fill(
    run: &Run<'_>,
    job: &RestoreJob,
    destination: &dyn WriteDisk,
) -> Result<TransferOutcome, JobError> {
    merge::finish_before_reading(run.host, &job.chain)?;
    restore::fill(run, job, destination)
}
