//! Makes the snapshot's images needed by nobody, and removes them.

use agent_contract::ImageFacts;
use agent_format::ObjectName;
use async_trait::async_trait;
use futures::StreamExt;

use super::links::{self, Remains};
use super::plan_removal::{PlanRemoval, SnapshotRemoval};
use crate::context::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files::{self, Description};
use crate::transfers;

/// Merges what something builds on, removes what nothing builds on.
#[derive(Debug)]
pub(super) struct FreeImages;

#[async_trait]
impl Step for FreeImages {
    const NAME: &'static str = "free_images";
    /// Whether nothing builds on the snapshot any more.
    type Output = bool;

    async fn run(&self, cx: &StepContext) -> Result<bool, StepFailure> {
        free_images(cx, &cx.output_of::<PlanRemoval>()?.wanted).await
    }
}

/// An image, and the only one that builds on it: number of the snapshot, number of the disk in it.
struct Pair {
    image: ObjectName,
    host: String,
    successor: ObjectName,
    place: (usize, usize),
}

/// Gives whether nothing builds on the snapshot any more. What is on the target says what is left to be
/// done: it can be repeated at any time, by any flow that holds the workload.
pub(super) async fn free_images(
    cx: &FlowContext,
    removal: &SnapshotRemoval,
) -> Result<bool, StepFailure> {
    let remains = links::remains(cx, removal.snapshot_id).await?;
    let mut others = links::others(cx, removal.snapshot_id).await?;
    let mut pairs = Vec::new();
    let mut is_free = true;
    for (image, host) in &removal.images {
        match *links::successors(&others, image) {
            [] => transfers::remove_image(cx, host, image).await?,
            [place] => pairs.push(pair(&others, place, image, host)?),
            _ => is_free = false,
        }
    }
    merge_all(cx, &remains, &mut others, pairs).await?;
    Ok(is_free)
}

fn pair(
    others: &[Description],
    place: (usize, usize),
    image: &ObjectName,
    host: &str,
) -> Result<Pair, StepFailure> {
    let disk = others
        .get(place.0)
        .and_then(|it| it.manifest.disks.get(place.1));
    let successor =
        disk.ok_or_else(|| StepFailure::new("A successor is not where it was found"))?;
    Ok(Pair {
        image: image.clone(),
        host: host.to_owned(),
        successor: successor.image.name.clone(),
        place,
    })
}

/// Several merges at a time; the successor's manifest follows each at once, so that a crash leaves at
/// most those images ahead of it that were under way.
async fn merge_all(
    cx: &FlowContext,
    remains: &Remains,
    others: &mut [Description],
    pairs: Vec<Pair>,
) -> Result<(), StepFailure> {
    if pairs.is_empty() {
        return Ok(());
    }
    let Some(gone) = &remains.description else {
        return Err(StepFailure::new(
            "Later snapshots build on this one, and its manifest is lost: delete those first",
        ));
    };
    let merges = pairs.into_iter().map(|pair| async move {
        let merged = transfers::merge_image(cx, &pair.host, &pair.image, &pair.successor).await;
        merged.map(|facts| (pair, facts))
    });
    let mut merges =
        futures::stream::iter(merges).buffer_unordered(cx.settings().transfers_per_flow.max(1));
    while let Some(merged) = merges.next().await {
        let (pair, facts) = merged?;
        follow(cx, gone, others, &pair, &facts).await?;
    }
    Ok(())
}

async fn follow(
    cx: &FlowContext,
    gone: &Description,
    others: &mut [Description],
    pair: &Pair,
    facts: &ImageFacts,
) -> Result<(), StepFailure> {
    let of_image = |it: &&agent_format::manifest::DiskEntry| it.image.name == pair.image;
    let backing = gone.manifest.disks.iter().find(of_image);
    let backing = backing.and_then(|it| it.backing.clone());
    let lost = || StepFailure::new("A successor is not where it was found");
    let other = others.get_mut(pair.place.0).ok_or_else(lost)?;
    let disk = other.manifest.disks.get(pair.place.1).ok_or_else(lost)?;
    let merged = links::merged(disk, facts, backing)?;
    if !other.manifest.follow_merge(&merged) {
        return Err(lost());
    }
    target_files::put_description(cx, other).await
}
