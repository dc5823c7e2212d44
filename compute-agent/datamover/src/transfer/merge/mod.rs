//! An image into the only one that builds upon it, which then needs it no more.
//!
//! P goes, S stays under its name and builds upon what P built upon. In place, on a target whose images
//! can be changed where they lie:
//!
//! | after this step | what lies there | what recovery does |
//! |---|---|---|
//! | 1 intent written | P, S, both indexes as before | nothing to readers; a cancelled merge takes the intent away |
//! | 2 S's clusters in free places of P's file | as before: P's header leads to nothing of it | the same, and gives their space back |
//! | 3 merged index, unfinished, beside S's | as before | the same, and throws it away |
//! | 4 P's header flipped | P' shows what S shows; S above P' still reads the same, and both old indexes fit | 5 to 9 |
//! | 5 merged index in the place of S's | S's image is above P', its index is P''s | 6 to 9 |
//! | 6 P' renamed to S | image and index are the merged ones, the manifest has the old digests | 7 to 9 |
//! | 7 manifest of S's snapshot written | all of S is the merged one | 8 and 9 |
//! | 8 P's index removed | the same | 9 |
//! | 9 intent removed | done | |
//!
//! On any other target the merged image is a new object: of server-side copies where the target offers
//! them and not more than 30 % of it would be dead, else written anew. Steps 2 to 4 are then "the new
//! object, unfinished", "the merged index, unfinished" and "the object in S's place", there is no 6, and 8
//! removes P itself first.
//!
//! Which step it was is told by the digests in the intent: of P's head (4), S's head, S's index (5). Only
//! between 4 and 7 can a verified read of S fail; everything that opens the chain first finishes such a
//! merge. The lock that keeps two from working on one chain is the workload's, held by who asks. Asked
//! again, a merge that is done says the same.

mod facts;
mod in_place;
mod indexes;
mod manifest;
mod new_object;
mod recover;
mod subject;
#[cfg(test)]
mod tests;

use agent_contract::{ImageFacts, ImagePlace, MergeJob, TransferOutcome};
use agent_format::merge_intent::{MergeIntentError, MergeWay};
use agent_qcow2::MergeError;
use services_foundation::error_chain::ErrorChain;
use subject::Subject;

use super::error::{JobError, target as failed};
use super::run::{Host, Run};
use super::ticket::Interrupted;

pub(super) fn run(run: &Run<'_>, job: &MergeJob) -> Result<TransferOutcome, JobError> {
    let removed = run.host.place(&job.image)?;
    let kept = run.host.place(&job.successor)?;
    let was_begun = recover::finish(&kept.target, &kept.image)? == recover::Found::Begun;
    let facts = match Subject::open(removed, kept)? {
        Err(kept) => facts::of(&kept)?,
        Ok(subject) => merge(run, &subject, was_begun)?,
    };
    Ok(TransferOutcome::Merged(facts))
}

fn merge(run: &Run<'_>, subject: &Subject, was_begun: bool) -> Result<ImageFacts, JobError> {
    let merged = in_place::merge(run, subject, was_begun).and_then(|merged| match merged {
        Some(facts) => Ok(facts),
        None => new_object::merge(run, subject),
    });
    let error = match merged {
        Ok(facts) => return Ok(facts),
        Err(error) => error,
    };
    // What was written so far is of use only if this goes on soon.
    if !matches!(error, JobError::Interrupted(Interrupted::Stopping))
        && let Err(undo) = recover::undo(&subject.kept.target, &subject.kept.image)
    {
        tracing::warn!("a merge leaves something behind: {}", ErrorChain(&undo));
    }
    Err(error)
}

/// Of a merge that nobody wants any more: its chain is as before, or it is done.
pub(super) fn abandon(host: &Host, job: &MergeJob) -> Result<(), JobError> {
    let kept = host.place(&job.successor)?;
    recover::undo(&kept.target, &kept.image)
}

/// Finishes merges that were interrupted half-way, of images that are about to be opened; says whether
/// there were any.
pub(super) fn finish_before<'a>(
    host: &Host,
    images: impl IntoIterator<Item = &'a ImagePlace>,
) -> Result<bool, JobError> {
    let places = images.into_iter().map(|image| host.place(image));
    recover::finish_around(&places.collect::<Result<Vec<_>, _>>()?)
}

/// Whether there are any; nothing is changed.
pub(super) fn is_visible_before(host: &Host, images: &[ImagePlace]) -> Result<bool, JobError> {
    let places = images.iter().map(|image| host.place(image));
    recover::is_visible_around(&places.collect::<Result<Vec<_>, _>>()?)
}

/// The same as [`finish_before`], for who was told a chain or digests that are the old ones then.
pub(super) fn finish_before_reading<'a>(
    host: &Host,
    images: impl IntoIterator<Item = &'a ImagePlace>,
) -> Result<(), JobError> {
    if finish_before(host, images)? {
        let message =
            "an interrupted merge of the chain was finished: ask with its images as they are";
        return Err(JobError::Refused(message.to_owned()));
    }
    Ok(())
}

/// Passes on what moves: progress, the host's limit, and whether to go on.
struct Progress<'r> {
    run: &'r Run<'r>,
    done_bytes: u64,
    interrupted: Option<Interrupted>,
}

impl<'r> Progress<'r> {
    fn new(run: &'r Run<'r>, total_bytes: u64) -> Self {
        run.ticket.set_total(total_bytes);
        Self {
            run,
            done_bytes: 0,
            interrupted: None,
        }
    }

    /// False if the merge is to end.
    fn pass(&mut self, bytes: u64) -> bool {
        self.done_bytes += bytes;
        self.run.ticket.has_read(bytes);
        self.run.ticket.set_done(self.done_bytes);
        let passed = self.run.host.throttle.pass(bytes, self.run.ticket);
        self.interrupted = passed.err();
        self.interrupted.is_none()
    }

    fn error(&self, error: MergeError) -> JobError {
        match (error, self.interrupted) {
            (MergeError::Stopped, Some(why)) => why.into(),
            (error, _) => JobError::Merge(error),
        }
    }
}

fn intent_error(error: MergeIntentError) -> JobError {
    JobError::MergeIntent(error)
}

/// Writes the intent down: from now on whoever opens the chain finishes what this begins.
fn declare(subject: &Subject, way: MergeWay) -> Result<(), JobError> {
    let intent = subject.intent(way)?;
    let name = recover::name_of(&subject.kept.image)?;
    let put = subject
        .kept
        .target
        .put_object(&name, &intent.to_vec().map_err(intent_error)?);
    put.map_err(failed("write down what a merge is about to do"))
}
