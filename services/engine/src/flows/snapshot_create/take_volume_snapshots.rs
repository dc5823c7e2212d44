//! Takes a Cinder snapshot of every volume of every member, all of the same moment.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::try_join_all;
use services_openstack::ports::NewVolumeSnapshot;
use services_types::{VolumeId, VolumeSnapshotId};

use super::plan_disks::PlanDisks;
use super::snapshot_id;
use crate::flows::members::{FLOW_MARK, WORKLOAD_MARK};
use crate::flows::volume_snapshots;
use crate::runner::{Step, StepContext, StepFailure};
use crate::wait::wait_for;

/// Takes one Cinder snapshot a volume, or finds the one that this flow took.
#[derive(Debug)]
pub(super) struct TakeVolumeSnapshots;

#[async_trait]
impl Step for TakeVolumeSnapshots {
    const NAME: &'static str = "take_volume_snapshots";
    type Output = BTreeMap<VolumeId, VolumeSnapshotId>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanDisks>()?;
        let taken = volume_snapshots::marked(cx).await?;
        let mut snapshots: BTreeMap<_, _> = taken
            .into_iter()
            .map(|snapshot| (snapshot.volume_id, snapshot.id))
            .collect();
        for (_, volume) in plan.volumes() {
            if snapshots.contains_key(&volume.volume_id) {
                continue;
            }
            let id = take(cx, &volume.volume_id).await?;
            snapshots.insert(volume.volume_id.clone(), id);
        }
        try_join_all(snapshots.values().map(|id| until_available(cx, id))).await?;
        Ok(snapshots)
    }
}

async fn take(cx: &StepContext, volume_id: &VolumeId) -> Result<VolumeSnapshotId, StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    let new = NewVolumeSnapshot {
        volume_id: volume_id.clone(),
        name: format!("backstay-{}", snapshot_id(cx)?),
        description:
            "Kept by Backstay for the next incremental backup; removing it makes that one full"
                .to_owned(),
        metadata: BTreeMap::from([
            (FLOW_MARK.to_owned(), cx.claim().flow_id.to_string()),
            (WORKLOAD_MARK.to_owned(), workload_id.to_string()),
        ]),
    };
    match cx
        .tenant()
        .await?
        .block_storage()
        .snapshot_create(&new)
        .await
    {
        Ok(id) => Ok(id),
        Err(error) if error.is_not_found() => Err(StepFailure::because(
            format!("Volume {volume_id} was deleted while its snapshot was being taken"),
            &error,
        )),
        Err(error) => Err(error.into()),
    }
}

async fn until_available(cx: &StepContext, id: &VolumeSnapshotId) -> Result<(), StepFailure> {
    wait_for(cx, &format!("Cinder snapshot {id}"), || async move {
        let snapshot = cx
            .tenant()
            .await?
            .block_storage()
            .snapshot_fetch(id)
            .await?;
        match snapshot.status.as_str() {
            "available" => Ok(Some(())),
            "error" => Err(StepFailure::new(format!(
                "Cinder could not snapshot volume {}",
                snapshot.volume_id
            ))),
            _ => Ok(None),
        }
    })
    .await
}
