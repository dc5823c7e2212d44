//! The states that a workload reaches outside of flows, while it is being made.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, WorkloadId, WorkloadStatus};

use super::gate::gate;
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::hold;
use crate::schema::workloads;
use crate::{Conflict, Datastore, Error};

impl Datastore {
    /// From `creating` or `error` to `available`; of one that is available: nothing.
    pub async fn workload_set_available(&self, id: WorkloadId) -> Result<(), Error> {
        self.write("make a workload available", move |connection, now| {
            let from = gate(connection, id)?.status;
            match from {
                WorkloadStatus::Locked => Err(illegal(from, WorkloadStatus::Available).into()),
                _ => set(connection, id, from, WorkloadStatus::Available, None, now),
            }
        })
        .await
    }

    /// From `creating` or `available` to `error`, with what its owner shall read.
    pub async fn workload_set_error(&self, id: WorkloadId, message: &str) -> Result<(), Error> {
        let message = message.to_owned();
        self.write(
            "note what is wrong with a workload",
            move |connection, now| {
                let from = gate(connection, id)?.status;
                match from {
                    WorkloadStatus::Locked | WorkloadStatus::Deleting => {
                        Err(illegal(from, WorkloadStatus::Error).into())
                    }
                    _ => set(
                        connection,
                        id,
                        from,
                        WorkloadStatus::Error,
                        Some(&message),
                        now,
                    ),
                }
            },
        )
        .await
    }

    /// To `error`, by the flow that locked it or deletes it and that cannot put it right.
    pub async fn workload_fail(&self, claim: &FlowClaim, message: &str) -> Result<(), Error> {
        let (claim, message) = (claim.clone(), message.to_owned());
        self.write(
            "note that a workload was left wrong",
            move |connection, now| {
                hold(connection, &claim, now)?;
                let id = claim.request.workload_id();
                let gate = gate(connection, id)?;
                let is_ours = gate.locked_by_flow == Some(claim.flow_id.to_string());
                if gate.status == WorkloadStatus::Locked && !is_ours {
                    return Err(Conflict::Locked { workload_id: id }.into());
                }
                set(
                    connection,
                    id,
                    gate.status,
                    WorkloadStatus::Error,
                    Some(&message),
                    now,
                )
            },
        )
        .await
    }
}

/// A legal transition, with the lock let go.
pub(super) fn set(
    connection: &mut AnyConnection,
    id: WorkloadId,
    from: WorkloadStatus,
    to: WorkloadStatus,
    message: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    if from != to && !from.can_become(to) {
        return Err(illegal(from, to).into());
    }
    diesel::update(workloads::table.find(id.to_string()))
        .set((
            workloads::status.eq(to.as_str()),
            workloads::error_msg.eq(message),
            workloads::locked_by_flow.eq(None::<String>),
            workloads::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}

fn illegal(from: WorkloadStatus, to: WorkloadStatus) -> Conflict {
    Conflict::Transition {
        what: "workload",
        from: from.as_str(),
        to: to.as_str(),
    }
}
