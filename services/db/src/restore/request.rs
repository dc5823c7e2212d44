//! Asking for a restore: its row, its flow and the snapshot's state in one transaction.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{
    FlowId, FlowRequest, ProjectId, RestoreId, RestoreOptions, RestoreStatus, SnapshotId,
    SnapshotStatus, UserId, WorkloadId,
};

use super::read;
use super::row::{RESTORE_TYPE, Restore};
use crate::column::{Row, VERSION, to_json, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::request;
use crate::lease::is_duplicate;
use crate::schema::{restores, snapshots};
use crate::workload::{gate, refuse_unless_idle};
use crate::{Conflict, Datastore, Error, snapshot};

/// A restore that is asked for.
#[derive(Clone, Debug)]
pub struct NewRestore {
    /// Its id, chosen by the caller.
    pub id: RestoreId,
    /// What is restored.
    pub snapshot_id: SnapshotId,
    /// Who asks.
    pub user_id: UserId,
    /// Whose it will be.
    pub project_id: ProjectId,
    /// At most 255 characters.
    pub name: String,
    /// Of any length.
    pub description: String,
    /// What is asked for.
    pub options: RestoreOptions,
}

impl Datastore {
    /// Writes the restore as `creating`, and the flow that performs it; the snapshot becomes `restoring`.
    ///
    /// Refused with `SnapshotRunning`, `Busy` or `WorkloadState` while something works on the workload, and
    /// with `SnapshotState` unless the snapshot is `available`.
    pub async fn restore_request(
        &self,
        new: NewRestore,
        flow_id: FlowId,
    ) -> Result<Restore, Error> {
        self.write("ask for a restore", move |connection, now| {
            let workload_id = workload_of(connection, new.snapshot_id)?;
            let gate = gate(connection, workload_id)?;
            refuse_unless_idle(connection, workload_id, &gate)?;
            let (status, _) = snapshot::status_of(connection, new.snapshot_id)?;
            if !status.can_become(SnapshotStatus::Restoring) {
                return Err(Conflict::SnapshotState(status).into());
            }
            snapshot::change(connection, new.snapshot_id, SnapshotStatus::Restoring, now)?;
            insert(connection, &new, now)?;
            let create = FlowRequest::RestoreCreate {
                restore_id: new.id,
                snapshot_id: new.snapshot_id,
                workload_id,
            };
            request(connection, flow_id, &new.project_id, &create, now)?;
            read::fetch(connection, new.id)
        })
        .await
    }
}

fn workload_of(connection: &mut AnyConnection, id: SnapshotId) -> Result<WorkloadId, Stop> {
    let workload_id: String = snapshots::table
        .find(id.to_string())
        .filter(snapshots::deleted.eq(false))
        .select(snapshots::workload_id)
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("snapshot", &id))?;
    let row = Row {
        what: "snapshot",
        id: &id.to_string(),
    };
    Ok(row.parse(&workload_id)?)
}

fn insert(
    connection: &mut AnyConnection,
    new: &NewRestore,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let inserted = diesel::insert_into(restores::table)
        .values((
            restores::created_at.eq(to_moment(now)),
            restores::updated_at.eq(to_moment(now)),
            restores::deleted.eq(false),
            restores::version.eq(VERSION),
            restores::id.eq(new.id.to_string()),
            restores::snapshot_id.eq(new.snapshot_id.to_string()),
            restores::user_id.eq(new.user_id.as_str()),
            restores::project_id.eq(new.project_id.as_str()),
            restores::restore_type.eq(RESTORE_TYPE),
            restores::display_name.eq(&new.name),
            restores::display_description.eq(&new.description),
            restores::status.eq(RestoreStatus::Creating.as_str()),
            restores::size.eq(0),
            restores::uploaded_size.eq(0),
            restores::progress_percent.eq(0),
            restores::time_taken.eq(0),
            restores::restore_options.eq(to_json("restore", &new.id, &new.options)?),
        ))
        .execute(connection);
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(Conflict::Exists { what: "restore" }.into()),
        Err(error) => Err(error.into()),
    }
}
