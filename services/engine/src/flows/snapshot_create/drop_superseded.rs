//! Keeps the new Cinder snapshots for the next incremental, where that can make use of them, and removes
//! all others of the workload.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use services_types::{VolumeId, VolumeSnapshotId};
use tracing::warn;

use super::plan_disks::PlanDisks;
use super::take_volume_snapshots::TakeVolumeSnapshots;
use crate::flows::volume_snapshots;
use crate::runner::{Step, StepContext, StepFailure};

/// Leaves one Cinder snapshot a volume at most. What cannot be removed is a warning, and is tried again by
/// the next snapshot: a complete backup is not thrown away for it.
#[derive(Debug)]
pub(super) struct DropSuperseded;

#[async_trait]
impl Step for DropSuperseded {
    const NAME: &'static str = "drop_superseded";
    /// Warnings for the snapshot.
    type Output = Vec<String>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<String>, StepFailure> {
        let taken = kept(cx)?;
        let kept: BTreeSet<_> = taken.values().cloned().collect();
        let mut warnings = Vec::new();
        // What the database knows of, and what carries our mark: a crash may have parted the two. The
        // cloud is asked before the claim is proved by the write: an engine that slept in between must not
        // see, and remove, what the next flow has taken.
        let mut old = BTreeSet::new();
        match volume_snapshots::of_workload(cx).await {
            Ok(found) => old.extend(found.into_iter().map(|snapshot| snapshot.id)),
            Err(failure) if failure.gives_up_flow => return Err(failure),
            Err(failure) => {
                warn!(
                    reason = failure.operator_message,
                    "superseded Cinder snapshots may stay"
                );
                warnings.push(format!(
                    "Cinder snapshots kept for earlier backups could not be looked for: {failure}"
                ));
            }
        }
        let superseded = cx
            .db()
            .volume_anchors_replace(cx.claim(), taken.into_iter().collect());
        let superseded = superseded.await?.into_iter();
        old.extend(superseded.map(|anchor| anchor.volume_snapshot_id));
        for id in old.difference(&kept) {
            match volume_snapshots::remove(cx, [id.clone()]).await {
                Ok(()) => {
                    cx.db()
                        .volume_anchors_forget(cx.claim(), vec![id.clone()])
                        .await?
                }
                Err(failure) => {
                    warn!(volume_snapshot_id = %id, reason = failure.operator_message,
                        "a superseded Cinder snapshot stays until the next backup");
                    warnings.push(format!(
                        "Cinder snapshot {id} could not be removed yet: {failure}"
                    ));
                }
            }
        }
        Ok(warnings)
    }

    /// The new Cinder snapshots go with the undo of the step that took them, so they are no base for
    /// the next incremental; the old ones are gone or stay marked as superseded.
    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let taken = cx.output_of::<TakeVolumeSnapshots>()?;
        cx.db().volume_anchors_clear(cx.claim()).await?;
        Ok(cx
            .db()
            .volume_anchors_forget(cx.claim(), taken.into_values().collect())
            .await?)
    }
}

/// The Cinder snapshots that the next incremental tells its changes from.
fn kept(cx: &StepContext) -> Result<BTreeMap<VolumeId, VolumeSnapshotId>, StepFailure> {
    let plan = cx.output_of::<PlanDisks>()?;
    let mut taken = cx.output_of::<TakeVolumeSnapshots>()?;
    for (_, volume) in plan.volumes() {
        if volume.storage.is_copied() {
            taken.remove(&volume.volume_id);
        }
    }
    Ok(taken)
}
