//! The one place through which every new operation on a workload goes.
//!
//! Two requests that each only read the rows and then insert their own would not notice each other, on
//! Galera least of all. So each writes the workload's row first: on one server the second waits and then
//! sees what the first did, on two Galera nodes one of them is refused at COMMIT and done again.

use diesel::prelude::*;
use services_types::{ProjectId, SnapshotStatus, WorkloadId, WorkloadStatus};

use crate::column::Row;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::{snapshots, workloads};
use crate::{Conflict, Error};

/// What a request needs to know of the workload that it works on.
pub(crate) struct Gate {
    pub(crate) status: WorkloadStatus,
    pub(crate) project_id: ProjectId,
    pub(crate) locked_by_flow: Option<String>,
}

/// Writes the workload's row and reads it; must be the transaction's first word on the workload.
pub(crate) fn gate(connection: &mut AnyConnection, workload_id: WorkloadId) -> Result<Gate, Stop> {
    let id = workload_id.to_string();
    let passed = diesel::update(workloads::table.find(&id))
        .filter(workloads::deleted.eq(false))
        .set(workloads::revision.eq(workloads::revision + 1))
        .execute(connection)?;
    if passed == 0 {
        return Err(Error::not_found("workload", &workload_id).into());
    }
    let (status, project_id, locked_by_flow): (String, String, Option<String>) = workloads::table
        .find(&id)
        .select((
            workloads::status,
            workloads::project_id,
            workloads::locked_by_flow,
        ))
        .first(connection)?;
    let row = Row {
        what: "workload",
        id: &id,
    };
    Ok(Gate {
        status: row.parse(&status)?,
        project_id: row.parse(&project_id)?,
        locked_by_flow,
    })
}

/// Lets a request pass only where nothing else works on the workload and its state allows work.
pub(crate) fn refuse_unless_idle(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    gate: &Gate,
) -> Result<(), Stop> {
    let statuses: Vec<String> = snapshots::table
        .filter(snapshots::workload_id.eq(workload_id.to_string()))
        .filter(snapshots::deleted.eq(false))
        .select(snapshots::status)
        .load(connection)?;
    for status in statuses {
        let row = Row {
            what: "snapshot of workload",
            id: &workload_id.to_string(),
        };
        match row.parse(&status)? {
            SnapshotStatus::Creating | SnapshotStatus::Executing | SnapshotStatus::Uploading => {
                return Err(Conflict::SnapshotRunning.into());
            }
            SnapshotStatus::Restoring | SnapshotStatus::Verifying | SnapshotStatus::Deleting => {
                return Err(Conflict::Busy.into());
            }
            _ => {}
        }
    }
    match gate.status {
        WorkloadStatus::Available => Ok(()),
        status => Err(Conflict::WorkloadState(status).into()),
    }
}
