//! Merges that were interrupted: finished, or undone where that is still possible.

use std::sync::Arc;

use agent_contract::ImageFacts;
use agent_format::ObjectName;
use agent_format::merge_intent::{MergeIntent, MergeWay, MergedObjects};
use agent_qcow2::reclaim_unused;
use agent_target::{ErrorKind, Target};

use super::{facts, indexes, intent_error, manifest, subject};
use crate::transfer::error::{JobError, target as failed};
use crate::transfer::reading::read_trailer;
use crate::transfer::remove::drop_image;
use crate::transfer::run::Place;

/// An intent names two images and their digests.
const INTENT_LIMIT_BYTES: u64 = 1 << 20;

/// How far a merge came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Both images are as they were.
    Before,
    /// The merged image lies in the file of the one that goes.
    Flipped,
    /// It has the name of the one that stays.
    InPlace,
}

/// What was found of an earlier merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// It has changed nothing that is seen.
    Begun,
    /// It was nearly done, and is done now.
    Finished,
}

/// Finishes the merge into `kept`, if there is one that cannot be undone any more.
pub(super) fn finish(target: &Arc<dyn Target>, kept: &ObjectName) -> Result<Found, JobError> {
    match Interrupted::read(target, kept)? {
        None => Ok(Found::Nothing),
        Some(interrupted) => interrupted.finish_if_visible(),
    }
}

/// Finishes all such merges that one of these images takes part in; says whether there were any.
pub(super) fn finish_around(places: &[Place]) -> Result<bool, JobError> {
    let mut has_finished = false;
    for interrupted in around(places)? {
        has_finished |= interrupted.finish_if_visible()? == Found::Finished;
    }
    Ok(has_finished)
}

/// Whether there are any, which are left as they are.
pub(super) fn is_visible_around(places: &[Place]) -> Result<bool, JobError> {
    for interrupted in around(places)? {
        if interrupted.stage()? != Stage::Before {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The merges that one of these images takes part in.
fn around(places: &[Place]) -> Result<Vec<Interrupted>, JobError> {
    let mut found = Vec::new();
    let Some(first) = places.first() else {
        return Ok(found);
    };
    let mut folders = Vec::new();
    for place in places {
        let folder = MergeIntent::folder_of(&place.image);
        let folder = folder.map_err(|error| JobError::Refused(error.to_string()))?;
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    for folder in folders {
        let listed = first.target.list(Some(&folder));
        for intent in listed.map_err(failed("look for interrupted merges"))? {
            let Some(interrupted) = Interrupted::read_object(&first.target, &intent.name)? else {
                continue;
            };
            let concerns = |place: &Place| {
                [&interrupted.removed.image, &interrupted.kept.image].contains(&&place.image)
            };
            if places.iter().any(concerns) {
                found.push(interrupted);
            }
        }
    }
    Ok(found)
}

/// Undoes the merge into `kept`, or finishes it if that is not possible any more.
pub(super) fn undo(target: &Arc<dyn Target>, kept: &ObjectName) -> Result<(), JobError> {
    let Some(interrupted) = Interrupted::read(target, kept)? else {
        return Ok(());
    };
    match interrupted.stage()? {
        Stage::Before => interrupted.undo(),
        stage => interrupted.finish(stage),
    }
}

pub(super) fn name_of(kept: &ObjectName) -> Result<ObjectName, JobError> {
    MergeIntent::name_of(kept).map_err(|error| JobError::Refused(error.to_string()))
}

/// The last steps: the manifest, what is left of the image that goes, the intent.
pub(super) fn complete(
    removed: &Place,
    kept: &Place,
    base: Option<&ObjectName>,
    facts: &ImageFacts,
) -> Result<(), JobError> {
    manifest::follow(kept, base, facts)?;
    drop_image(removed)?;
    let intent = name_of(&kept.image)?;
    kept.target.delete(&intent).map_err(failed("end a merge"))
}

/// Gives the space back that an image's file has and does not use.
pub(super) fn reclaim(place: &Place) -> Result<(), JobError> {
    let update = place.target.update_image(&place.image);
    let update = update.map_err(failed("open an image to change it"))?;
    if let Some(mut update) = update {
        let image = subject::open(place.target.as_ref(), &place.image)?;
        reclaim_unused(image, &mut update).map_err(JobError::Merge)?;
    }
    Ok(())
}

struct Interrupted {
    intent: MergeIntent,
    removed: Place,
    kept: Place,
}

impl Interrupted {
    fn read(target: &Arc<dyn Target>, kept: &ObjectName) -> Result<Option<Self>, JobError> {
        Self::read_object(target, &name_of(kept)?)
    }

    fn read_object(target: &Arc<dyn Target>, name: &ObjectName) -> Result<Option<Self>, JobError> {
        let json = match target.get_object(name, INTENT_LIMIT_BYTES) {
            Ok(json) => json,
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read what a merge is about to do")(error)),
        };
        let intent = MergeIntent::from_slice(&json).map_err(intent_error)?;
        let place = |objects: &MergedObjects| Place {
            target: Arc::clone(target),
            image: objects.image.name.clone(),
            index: objects.index.name.clone(),
        };
        let (removed, kept) = (place(&intent.removed), place(&intent.kept));
        if name_of(&kept.image)? != *name {
            let message = format!("{name} is about a merge of another image");
            return Err(JobError::Refused(message));
        }
        Ok(Some(Self {
            intent,
            removed,
            kept,
        }))
    }

    fn stage(&self) -> Result<Stage, JobError> {
        match self.intent.way {
            MergeWay::InPlace => Ok(match subject::head_digest_if_any(&self.removed)? {
                Some(digest) if digest == self.intent.removed.image.blake3 => Stage::Before,
                Some(_) => Stage::Flipped,
                None if self.is_kept_as_before()? => {
                    return Err(JobError::Damaged {
                        image: self.kept.image.to_string(),
                        offset: 0,
                        what: "the image that it builds upon is missing",
                    });
                }
                None => Stage::InPlace,
            }),
            MergeWay::NewObject if self.is_kept_as_before()? => Ok(Stage::Before),
            MergeWay::NewObject => Ok(Stage::InPlace),
        }
    }

    fn is_kept_as_before(&self) -> Result<bool, JobError> {
        let digest = subject::head_digest(&self.kept)?;
        Ok(digest == self.intent.kept.image.blake3)
    }

    fn finish_if_visible(&self) -> Result<Found, JobError> {
        match self.stage()? {
            Stage::Before => Ok(Found::Begun),
            stage => self.finish(stage).map(|()| Found::Finished),
        }
    }

    fn finish(&self, stage: Stage) -> Result<(), JobError> {
        tracing::info!(image = %self.kept.image, "finishes a merge that was interrupted");
        let base = self.intent.backing.as_ref();
        if read_trailer(&self.kept)?.digest == self.intent.kept.index.blake3 {
            indexes::merge(&self.removed, &self.kept, base, None)?.publish()?;
        }
        if stage == Stage::Flipped {
            let target = &self.kept.target;
            let renamed = target.rename_image(&self.removed.image, &self.kept.image);
            renamed.map_err(failed("rename the merged image"))?;
        }
        if self.intent.way == MergeWay::InPlace {
            reclaim(&self.kept)?;
        }
        // Who completed them may have been killed before all was removed that stands beside them meanwhile.
        self.drop_unfinished()?;
        complete(&self.removed, &self.kept, base, &facts::of(&self.kept)?)
    }

    fn undo(&self) -> Result<(), JobError> {
        tracing::info!(image = %self.kept.image, "undoes a merge that was interrupted");
        self.drop_unfinished()?;
        if self.intent.way == MergeWay::InPlace {
            reclaim(&self.removed)?;
        }
        let intent = name_of(&self.kept.image)?;
        let ended = self.kept.target.delete(&intent);
        ended.map_err(failed("end a merge"))
    }

    fn drop_unfinished(&self) -> Result<(), JobError> {
        for name in [&self.kept.image, &self.kept.index] {
            let abandoned = self.kept.target.abandon_image(name);
            abandoned.map_err(failed("throw an unfinished merge away"))?;
        }
        Ok(())
    }
}
