//! Deleting a workload: asked for by its owner, done by a flow, the row kept.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, FlowId, FlowRequest, WorkloadId, WorkloadStatus};

use super::gate::gate;
use super::{members, state};
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, request, workload_deleted_by};
use crate::schema::{snapshots, workloads};
use crate::{Conflict, Datastore, Error};

impl Datastore {
    /// From `available` or `error` to `deleting`, with the flow that does it.
    /// `Conflict::HasSnapshots` while it has any that was not deleted.
    pub async fn workload_delete_request(
        &self,
        id: WorkloadId,
        flow_id: FlowId,
    ) -> Result<(), Error> {
        self.write(
            "ask for the deletion of a workload",
            move |connection, now| {
                let gate = gate(connection, id)?;
                if !matches!(
                    gate.status,
                    WorkloadStatus::Available | WorkloadStatus::Error
                ) {
                    return Err(Conflict::WorkloadState(gate.status).into());
                }
                refuse_if_it_has_snapshots(connection, id)?;
                state::set(
                    connection,
                    id,
                    gate.status,
                    WorkloadStatus::Deleting,
                    None,
                    now,
                )?;
                let delete = FlowRequest::WorkloadDelete { workload_id: id };
                request(connection, flow_id, &gate.project_id, &delete, now)
            },
        )
        .await
    }

    /// The end of its deletion: the row stays as `deleted`, its servers are free. Twice is once.
    pub async fn workload_deleted(&self, claim: &FlowClaim) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("mark a workload deleted", move |connection, now| {
            let id = workload_deleted_by(&claim)?;
            hold(connection, &claim, now)?;
            bury(connection, id, now)
        })
        .await
    }
}

fn refuse_if_it_has_snapshots(connection: &mut AnyConnection, id: WorkloadId) -> Result<(), Stop> {
    let count: i64 = snapshots::table
        .filter(snapshots::workload_id.eq(id.to_string()))
        .filter(snapshots::deleted.eq(false))
        .count()
        .get_result(connection)?;
    match u64::try_from(count) {
        Ok(count) if count > 0 => Err(Conflict::HasSnapshots { count }.into()),
        _ => Ok(()),
    }
}

fn bury(connection: &mut AnyConnection, id: WorkloadId, now: DateTime<Utc>) -> Result<(), Stop> {
    let buried = diesel::update(workloads::table.find(id.to_string()))
        .filter(workloads::status.eq(WorkloadStatus::Deleting.as_str()))
        .set((
            workloads::status.eq(WorkloadStatus::Deleted.as_str()),
            workloads::deleted.eq(true),
            workloads::deleted_at.eq(to_moment(now)),
            workloads::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    if buried == 0 {
        return refuse_unless_buried(connection, id);
    }
    for member in members::load(connection, id)? {
        members::drop_member(connection, id, &member.server_id, now)?;
    }
    Ok(())
}

fn refuse_unless_buried(connection: &mut AnyConnection, id: WorkloadId) -> Result<(), Stop> {
    match gate(connection, id) {
        Err(Stop::Ours(Error::NotFound { .. })) => Ok(()),
        Err(stop) => Err(stop),
        Ok(gate) => Err(Conflict::WorkloadState(gate.status).into()),
    }
}
