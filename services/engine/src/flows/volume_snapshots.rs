//! Cinder snapshots that Backstay took, found by the mark they carry from their creation.

use services_openstack::gone_is_fine;
use services_openstack::ports::VolumeSnapshot;
use services_types::VolumeSnapshotId;

use super::members::{FLOW_MARK, WORKLOAD_MARK};
use crate::context::FlowContext;
use crate::runner::StepFailure;
use crate::wait::wait_in_undo;

/// Those that this flow took.
pub(super) async fn marked(cx: &FlowContext) -> Result<Vec<VolumeSnapshot>, StepFailure> {
    let flow = cx.claim().flow_id.to_string();
    Ok(cx
        .tenant()
        .await?
        .block_storage()
        .snapshots_with_metadata(FLOW_MARK, &flow)
        .await?)
}

/// Those of the whole workload.
pub(super) async fn of_workload(cx: &FlowContext) -> Result<Vec<VolumeSnapshot>, StepFailure> {
    let workload = cx.claim().request.workload_id().to_string();
    let storage = cx.tenant().await?.block_storage();
    Ok(storage
        .snapshots_with_metadata(WORKLOAD_MARK, &workload)
        .await?)
}

/// Removes all that this flow took, and sees them gone.
pub(super) async fn remove_marked(cx: &FlowContext) -> Result<(), StepFailure> {
    let found = marked(cx).await?;
    remove(cx, found.into_iter().map(|snapshot| snapshot.id)).await
}

/// Removes these, and sees them gone.
pub(super) async fn remove(
    cx: &FlowContext,
    ids: impl IntoIterator<Item = VolumeSnapshotId> + Send,
) -> Result<(), StepFailure> {
    let ids: Vec<_> = ids.into_iter().collect();
    for id in &ids {
        // One that is still being made cannot be deleted yet.
        wait_in_undo(
            cx,
            &format!("Cinder snapshot {id} to be made"),
            || async move {
                match cx.tenant().await?.block_storage().snapshot_fetch(id).await {
                    Ok(snapshot) if snapshot.status == "creating" => Ok(None),
                    Err(error) if !error.is_not_found() => Err(error.into()),
                    _ => Ok(Some(())),
                }
            },
        )
        .await?;
        gone_is_fine(cx.tenant().await?.block_storage().snapshot_delete(id).await)?;
    }
    for id in &ids {
        wait_in_undo(
            cx,
            &format!("Cinder snapshot {id} to be gone"),
            || async move {
                match cx.tenant().await?.block_storage().snapshot_fetch(id).await {
                    Err(error) if error.is_not_found() => Ok(Some(())),
                    Err(error) => Err(error.into()),
                    Ok(snapshot) if snapshot.status.starts_with("error") => {
                        Err(StepFailure::new(format!(
                            "Cinder cannot delete its snapshot {id} of volume {}",
                            snapshot.volume_id
                        )))
                    }
                    Ok(_) => Ok(None),
                }
            },
        )
        .await?;
    }
    Ok(())
}
