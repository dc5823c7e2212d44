//! Cinder snapshots that Backstay took, found by the mark they carry from their creation.

use services_openstack::ports::VolumeSnapshot;
use services_openstack::{gone_is_fine, if_found};
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

/// Removes these, and sees them gone. One that cannot be removed now fails it, when the others are gone.
pub(super) async fn remove(
    cx: &FlowContext,
    ids: impl IntoIterator<Item = VolumeSnapshotId> + Send,
) -> Result<(), StepFailure> {
    let staying = remove_what_can_be(cx, ids).await?;
    if staying.is_empty() {
        return Ok(());
    }
    Err(StepFailure::new(staying.join("; ")))
}

/// Removes these, and sees them gone, but for those that cannot be removed now: says why each stays.
pub(super) async fn remove_what_can_be(
    cx: &FlowContext,
    ids: impl IntoIterator<Item = VolumeSnapshotId> + Send,
) -> Result<Vec<String>, StepFailure> {
    let (mut leaving, mut staying) = (Vec::new(), Vec::new());
    for id in ids {
        let Some(snapshot) = when_made(cx, &id).await? else {
            continue;
        };
        if let Some(why) = obstacle(cx, &snapshot).await? {
            staying.push(why);
            continue;
        }
        gone_is_fine(
            cx.tenant()
                .await?
                .block_storage()
                .snapshot_delete(&id)
                .await,
        )?;
        leaving.push(id);
    }
    for id in &leaving {
        see_gone(cx, id).await?;
    }
    Ok(staying)
}

/// One that is still being made cannot be deleted yet. None: it is not there.
async fn when_made(
    cx: &FlowContext,
    id: &VolumeSnapshotId,
) -> Result<Option<VolumeSnapshot>, StepFailure> {
    let what = format!("Cinder snapshot {id} to be made");
    wait_in_undo(cx, &what, || async move {
        let storage = cx.tenant().await?.block_storage();
        let snapshot = if_found(storage.snapshot_fetch(id).await)?;
        let is_made = snapshot.as_ref().is_none_or(|one| one.status != "creating");
        Ok(is_made.then_some(snapshot))
    })
    .await
}

async fn see_gone(cx: &FlowContext, id: &VolumeSnapshotId) -> Result<(), StepFailure> {
    let what = format!("Cinder snapshot {id} to be gone");
    wait_in_undo(cx, &what, || async move {
        match cx.tenant().await?.block_storage().snapshot_fetch(id).await {
            Err(error) if error.is_not_found() => Ok(Some(())),
            Err(error) => Err(error.into()),
            Ok(snapshot) if snapshot.status.starts_with("error") => {
                let volume = snapshot.volume_id;
                let why = format!("Cinder cannot delete its snapshot {id} of volume {volume}");
                Err(StepFailure::new(why))
            }
            Ok(_) => Ok(None),
        }
    })
    .await
}

/// Why one cannot be removed now, if so. Those of volumes on shares that a server has are Nova's to
/// remove, and Nova refuses while the server is stopped: Cinder would give up on them for good.
async fn obstacle(
    cx: &FlowContext,
    snapshot: &VolumeSnapshot,
) -> Result<Option<String>, StepFailure> {
    let storage = cx.tenant().await?.block_storage();
    let Some(volume) = if_found(storage.volume_fetch(&snapshot.volume_id).await)? else {
        return Ok(None);
    };
    for (attachment, server) in &volume.attachments {
        let (Some(server), Some(attachment)) = (
            server,
            if_found(storage.attachment_fetch(attachment).await)?,
        ) else {
            continue;
        };
        if !VolumeStorage::is_snapshot_by_nova(&attachment) {
            continue;
        }
        let server = if_found(cx.tenant().await?.compute().server_fetch(server).await)?;
        if let Some(server) = server
            && !["ACTIVE", "PAUSED"].contains(&server.status.as_str())
        {
            return Ok(Some(format!(
                "Cinder snapshot {} of volume {} stays: Nova removes it only while server {} ({}) runs",
                snapshot.id, snapshot.volume_id, server.name, server.id
            )));
        }
    }
    Ok(None)
}
