//! One flow at a time works on a workload.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, WorkloadId, WorkloadStatus};

use super::gate::gate;
use super::state;
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::hold;
use crate::schema::workloads;
use crate::{Conflict, Datastore, Error};

impl Datastore {
    /// From `available` to `locked` by the claimed flow; of one that this flow locked: nothing.
    /// `Conflict::Locked` where another flow has it.
    pub async fn workload_lock(&self, claim: &FlowClaim) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("lock a workload", move |connection, now| {
            hold(connection, &claim, now)?;
            lock(connection, &claim, now)
        })
        .await
    }

    /// From `locked` by the claimed flow to `available`; of one that it did not lock: nothing.
    /// What settles a snapshot or a restore does this too.
    pub async fn workload_unlock(&self, claim: &FlowClaim) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("unlock a workload", move |connection, now| {
            hold(connection, &claim, now)?;
            unlock(connection, &claim, now)
        })
        .await
    }

    /// To `available` on its owner's word, whatever locked it. A flow that works on it goes on, and what
    /// would get in its way is still refused (`SnapshotRunning`, `Busy`): that is told from the snapshots.
    pub async fn workload_unlock_by_owner(&self, id: WorkloadId) -> Result<(), Error> {
        self.write("unlock a workload for its owner", move |connection, now| {
            let from = gate(connection, id)?.status;
            state::set(connection, id, from, WorkloadStatus::Available, None, now)
        })
        .await
    }
}

fn lock(connection: &mut AnyConnection, claim: &FlowClaim, now: DateTime<Utc>) -> Result<(), Stop> {
    let workload_id = claim.request.workload_id();
    let gate = gate(connection, workload_id)?;
    let flow_id = claim.flow_id.to_string();
    match gate.status {
        WorkloadStatus::Locked if gate.locked_by_flow.as_ref() == Some(&flow_id) => Ok(()),
        WorkloadStatus::Locked => Err(Conflict::Locked { workload_id }.into()),
        WorkloadStatus::Available => {
            diesel::update(workloads::table.find(workload_id.to_string()))
                .set((
                    workloads::status.eq(WorkloadStatus::Locked.as_str()),
                    workloads::locked_by_flow.eq(flow_id),
                    workloads::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        }
        status => Err(Conflict::WorkloadState(status).into()),
    }
}

/// Part of a transaction that has proved the claim.
pub(crate) fn unlock(
    connection: &mut AnyConnection,
    claim: &FlowClaim,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(workloads::table.find(claim.request.workload_id().to_string()))
        .filter(workloads::status.eq(WorkloadStatus::Locked.as_str()))
        .filter(workloads::locked_by_flow.eq(claim.flow_id.to_string()))
        .set((
            workloads::status.eq(WorkloadStatus::Available.as_str()),
            workloads::locked_by_flow.eq(None::<String>),
            workloads::revision.eq(workloads::revision + 1),
            workloads::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}
