//! Cinder snapshots that Backstay took, found by the mark they carry from their creation.

use services_openstack::gone_is_fine;
use services_openstack::ports::VolumeSnapshot;
use services_types::VolumeSnapshotId;

use super::members::{FLOW_MARK, WORKLOAD_MARK};
use crate::context::FlowContext;
use crate::runner::StepFailure;
use crate::storage::VolumeStorage;
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

/// Why one cannot be removed now, if so. Those of volumes on shares that a server has are Nova's to
/// remove, and Nova refuses while the server is stopped: Cinder would give up on them for good.
pub(super) async fn obstacle(
    cx: &FlowContext,
    snapshot: &VolumeSnapshot,
) -> Result<Option<String>, StepFailure> {
    let storage = cx.tenant().await?.block_storage();
    let volume = match storage.volume_fetch(&snapshot.volume_id).await {
        Ok(volume) => volume,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for (attachment, server) in &volume.attachments {
        let Some(server) = server else {
            continue;
        };
        let storage = cx.tenant().await?.block_storage();
        let attachment = match storage.attachment_fetch(attachment).await {
            Ok(attachment) => attachment,
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        if !VolumeStorage::is_snapshot_by_nova(&attachment) {
            continue;
        }
        match cx.tenant().await?.compute().server_fetch(server).await {
            Ok(server) if !["ACTIVE", "PAUSED"].contains(&server.status.as_str()) => {
                return Ok(Some(format!(
                    "Cinder snapshot {} of volume {} stays: Nova removes it only while server {} ({}) runs",
                    snapshot.id, snapshot.volume_id, server.name, server.id
                )));
            }
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Removes these, and sees them gone.
pub(super) async fn remove(
    cx: &FlowContext,
    ids: impl IntoIterator<Item = VolumeSnapshotId> + Send,
) -> Result<(), StepFailure> {
    let ids: Vec<_> = ids.into_iter().collect();
    for id in &ids {
        // One that is still being made cannot be deleted yet.
        let made = wait_in_undo(
            cx,
            &format!("Cinder snapshot {id} to be made"),
            || async move {
                match cx.tenant().await?.block_storage().snapshot_fetch(id).await {
                    Ok(snapshot) if snapshot.status == "creating" => Ok(None),
                    Ok(snapshot) => Ok(Some(Some(snapshot))),
                    Err(error) if error.is_not_found() => Ok(Some(None)),
                    Err(error) => Err(error.into()),
                }
            },
        )
        .await?;
        if let Some(snapshot) = made
            && let Some(why) = obstacle(cx, &snapshot).await?
        {
            return Err(StepFailure::new(why));
        }
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
