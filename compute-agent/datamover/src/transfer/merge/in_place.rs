//! In the file of the image that goes.

use agent_contract::ImageFacts;
use agent_format::merge_intent::MergeWay;
use agent_qcow2::{MergeError, prepare_merge};

use super::subject::Subject;
use super::{Progress, declare, facts, indexes, recover};
use crate::transfer::error::{JobError, target as failed};
use crate::transfer::run::Run;

/// None if this target, or this image, cannot be changed in place.
pub(super) fn merge(
    run: &Run<'_>,
    subject: &Subject,
    was_begun: bool,
) -> Result<Option<ImageFacts>, JobError> {
    if !subject.header_fits() {
        return Ok(None);
    }
    let target = &subject.kept.target;
    let update = target.update_image(&subject.removed.image);
    let Some(mut update) = update.map_err(failed("open an image to change it"))? else {
        return Ok(None);
    };
    let pair = subject.pair()?;
    declare(subject, MergeWay::InPlace)?;
    let mut progress = Progress::new(run, pair.successor_bytes());
    let mut watch = |bytes| progress.pass(bytes);
    let prepared = match prepare_merge(&pair, &mut update, &mut watch) {
        Ok(prepared) => prepared,
        // Nothing was written then.
        Err(MergeError::Unsupported { .. }) => return Ok(None),
        Err(error) => return Err(progress.error(error)),
    };
    let (removed, kept) = (&subject.removed, &subject.kept);
    let index = indexes::merge(removed, kept, subject.base.as_ref(), Some(&pair))?;
    // From the flip on the merge only goes forward.
    run.ticket.check()?;
    prepared.flip(&mut update).map_err(JobError::Merge)?;
    let facts = facts::made(&prepared.merged(), &index);
    std::thread::scope(|scope| {
        let reclaimed = scope.spawn(|| prepared.reclaim(&mut update));
        index.publish()?;
        let renamed = target.rename_image(&removed.image, &kept.image);
        renamed.map_err(failed("rename the merged image"))?;
        // The file system frees the old image when nobody has it open any more.
        scope.spawn(|| drop(pair));
        let reclaimed = reclaimed.join().map_err(|_| JobError::Broken)?;
        reclaimed.map_err(JobError::Merge)?;
        if was_begun {
            // An earlier attempt may have left more.
            recover::reclaim(kept)?;
        }
        recover::complete(removed, kept, subject.base.as_ref(), &facts)
    })?;
    Ok(Some(facts))
}
