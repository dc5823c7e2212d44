//! Deleting a snapshot: asked for by its owner, done by a flow, the row kept.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, FlowId, FlowRequest, SnapshotId, SnapshotStatus};

use super::prune::{Prune, hand_over};
use super::read::fetch;
use super::transition::{change, is_due, status_of};
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, request, snapshot_deleted_by};
use crate::schema::snapshots;
use crate::workload::{gate, refuse_unless_idle, unlock};
use crate::{Conflict, Datastore, Error};

impl Datastore {
    /// From `available`, `error` or `cancelled` to `deleting`, with the flow that does it.
    ///
    /// Refused with `SnapshotRunning`, `Busy` or `WorkloadState` while something works on the workload, and
    /// with `SnapshotState`.
    pub async fn snapshot_delete_request(
        &self,
        id: SnapshotId,
        flow_id: FlowId,
    ) -> Result<(), Error> {
        self.write(
            "ask for the deletion of a snapshot",
            move |connection, now| {
                let workload_id = fetch(connection, id)?.workload_id;
                let gate = gate(connection, workload_id)?;
                refuse_unless_idle(connection, workload_id, &gate)?;
                let status = fetch(connection, id)?.status;
                if !status.can_become(SnapshotStatus::Deleting) {
                    return Err(Conflict::SnapshotState(status).into());
                }
                change(connection, id, SnapshotStatus::Deleting, now)?;
                let delete = FlowRequest::SnapshotDelete {
                    snapshot_id: id,
                    workload_id,
                    is_by_retention: false,
                };
                request(connection, flow_id, &gate.project_id, &delete, now)
            },
        )
        .await
    }

    /// The end of its deletion: the row stays as `deleted`, and the workload is unlocked or goes to the
    /// next deletion. Twice is once.
    ///
    /// `is_kept_for_chain`: its images stay on the target, because later snapshots build on them, until
    /// [`Datastore::snapshot_forget_images`].
    pub async fn snapshot_deleted(
        &self,
        claim: &FlowClaim,
        is_kept_for_chain: bool,
        next: Option<Prune>,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("mark a snapshot deleted", move |connection, now| {
            let id = snapshot_deleted_by(&claim)?;
            hold(connection, &claim, now)?;
            let (from, _) = status_of(connection, id)?;
            if is_due(from, SnapshotStatus::Deleted)? {
                bury(connection, id, is_kept_for_chain, now)?;
                return hand_over(connection, &claim, next, now);
            }
            unlock(connection, &claim, now)
        })
        .await
    }

    /// Its deletion failed: back to `available` if it can still be restored, else `error`; with what its
    /// owner shall read; the workload is unlocked. Twice is once.
    pub async fn snapshot_delete_fail(
        &self,
        claim: &FlowClaim,
        is_restorable: bool,
        message: &str,
    ) -> Result<(), Error> {
        let (claim, message) = (claim.clone(), message.to_owned());
        self.write(
            "note why a snapshot was not deleted",
            move |connection, now| {
                let id = snapshot_deleted_by(&claim)?;
                hold(connection, &claim, now)?;
                let to = match is_restorable {
                    true => SnapshotStatus::Available,
                    false => SnapshotStatus::Error,
                };
                change(connection, id, to, now)?;
                diesel::update(snapshots::table.find(id.to_string()))
                    .set(snapshots::error_msg.eq(message.as_str()))
                    .execute(connection)?;
                unlock(connection, &claim, now)
            },
        )
        .await
    }
}

fn bury(
    connection: &mut AnyConnection,
    id: SnapshotId,
    is_kept_for_chain: bool,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(snapshots::table.find(id.to_string()))
        .set((
            snapshots::status.eq(SnapshotStatus::Deleted.as_str()),
            snapshots::is_kept_for_chain.eq(is_kept_for_chain),
            snapshots::deleted.eq(true),
            snapshots::deleted_at.eq(to_moment(now)),
            snapshots::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}
