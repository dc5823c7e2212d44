use agent_contract::{RemoveJob, TransferOutcome};

use super::error::{JobError, target};
use super::run::{Place, Run};

pub(super) fn run(run: &Run<'_>, job: &RemoveJob) -> Result<TransferOutcome, JobError> {
    drop_image(&run.host.place(&job.image)?)?;
    Ok(TransferOutcome::Removed)
}

/// The image before its index: an index alone is nothing, an image alone could not be verified.
pub(super) fn drop_image(place: &Place) -> Result<(), JobError> {
    let failed = target("remove an image");
    for name in [&place.image, &place.index] {
        place.target.delete(name).map_err(failed)?;
        place.target.abandon_image(name).map_err(failed)?;
    }
    Ok(())
}
