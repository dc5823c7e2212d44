//! Proof that a claim still stands, in the transaction that depends on it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, FlowRequest, FlowStatus, RestoreId, SnapshotId, WorkloadId};

use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::flows;
use crate::{Conflict, Error};

/// Refuses with `Fenced` unless the claim stands. Writes the flow's row for it, always with another value,
/// so that two claims on two Galera nodes cannot both commit, and so that on a single server others wait.
pub(crate) fn hold(
    connection: &mut AnyConnection,
    claim: &FlowClaim,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let held = diesel::update(flows::table.find(claim.flow_id.to_string()))
        .filter(flows::epoch.eq(claim.epoch))
        .filter(flows::lease_holder.is_not_null())
        .filter(flows::status.eq(FlowStatus::Running.as_str()))
        .set((
            flows::updated_at.eq(to_moment(now)),
            flows::write_count.eq(flows::write_count + 1),
        ))
        .execute(connection)?;
    match held {
        0 => Err(Error::fenced(claim.flow_id).into()),
        _ => Ok(()),
    }
}

/// The snapshot that a claimed flow makes.
pub(crate) fn snapshot_made_by(claim: &FlowClaim) -> Result<SnapshotId, Conflict> {
    match claim.request {
        FlowRequest::SnapshotCreate { snapshot_id, .. } => Ok(snapshot_id),
        _ => Err(wrong(claim)),
    }
}

/// The snapshot that a claimed flow deletes.
pub(crate) fn snapshot_deleted_by(claim: &FlowClaim) -> Result<SnapshotId, Conflict> {
    match claim.request {
        FlowRequest::SnapshotDelete { snapshot_id, .. } => Ok(snapshot_id),
        _ => Err(wrong(claim)),
    }
}

/// The snapshot that a claimed flow verifies.
pub(crate) fn snapshot_verified_by(claim: &FlowClaim) -> Result<SnapshotId, Conflict> {
    match claim.request {
        FlowRequest::SnapshotVerify { snapshot_id, .. } => Ok(snapshot_id),
        _ => Err(wrong(claim)),
    }
}

/// The restore that a claimed flow performs, and the snapshot that it reads.
pub(crate) fn restore_of(claim: &FlowClaim) -> Result<(RestoreId, SnapshotId), Conflict> {
    match claim.request {
        FlowRequest::RestoreCreate {
            restore_id,
            snapshot_id,
            ..
        } => Ok((restore_id, snapshot_id)),
        _ => Err(wrong(claim)),
    }
}

/// The workload that a claimed flow deletes.
pub(crate) fn workload_deleted_by(claim: &FlowClaim) -> Result<WorkloadId, Conflict> {
    match claim.request {
        FlowRequest::WorkloadDelete { workload_id } => Ok(workload_id),
        _ => Err(wrong(claim)),
    }
}

fn wrong(claim: &FlowClaim) -> Conflict {
    Conflict::WrongFlow {
        kind: claim.request.kind(),
    }
}
