//! The deletion that retention wants follows the flow that found it due, in one transaction: the workload
//! stays locked from one to the next, so that whoever waits for it does not come in between.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, FlowId, FlowRequest, SnapshotId, SnapshotStatus, WorkloadStatus};

use super::transition::{change, status_of};
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::request;
use crate::schema::workloads;
use crate::workload::unlock;

/// What retention takes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Which snapshot.
    pub snapshot_id: SnapshotId,
    /// The flow that will delete it.
    pub flow_id: FlowId,
}

/// Ends the claimed flow's hold on the workload: to the next deletion, or to nobody.
pub(super) fn hand_over(
    connection: &mut AnyConnection,
    claim: &FlowClaim,
    next: Option<Prune>,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let Some(next) = next else {
        return unlock(connection, claim, now);
    };
    let (status, _) = status_of(connection, next.snapshot_id)?;
    if !status.can_become(SnapshotStatus::Deleting) {
        return unlock(connection, claim, now);
    }
    change(connection, next.snapshot_id, SnapshotStatus::Deleting, now)?;
    let workload_id = claim.request.workload_id();
    let delete = FlowRequest::SnapshotDelete {
        snapshot_id: next.snapshot_id,
        workload_id,
        is_by_retention: true,
    };
    request(connection, next.flow_id, &claim.project_id, &delete, now)?;
    diesel::update(workloads::table.find(workload_id.to_string()))
        .filter(workloads::status.eq(WorkloadStatus::Locked.as_str()))
        .filter(workloads::locked_by_flow.eq(claim.flow_id.to_string()))
        .set((
            workloads::locked_by_flow.eq(next.flow_id.to_string()),
            workloads::revision.eq(workloads::revision + 1),
            workloads::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}
