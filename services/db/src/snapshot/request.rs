//! Asking for a snapshot: its row and its flow in one transaction.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{
    FlowId, FlowRequest, ProjectId, SnapshotId, SnapshotStatus, SnapshotType, UserId, WorkloadId,
};

use super::read;
use super::row::Snapshot;
use crate::column::{VERSION, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::request;
use crate::lease::is_duplicate;
use crate::schema::snapshots;
use crate::workload::{gate, refuse_unless_idle};
use crate::{Conflict, Datastore, Error};

/// A snapshot that is asked for.
#[derive(Clone, Debug)]
pub struct NewSnapshot {
    /// Its id, chosen by the caller.
    pub id: SnapshotId,
    /// Whose servers.
    pub workload_id: WorkloadId,
    /// Who asks.
    pub user_id: UserId,
    /// Whose it will be.
    pub project_id: ProjectId,
    /// At most 255 characters.
    pub name: String,
    /// Of any length.
    pub description: String,
    /// All data, even where an incremental would do.
    pub is_full: bool,
    /// The slot of the schedule that it fills; `None` for one that somebody asks for.
    pub due_at: Option<DateTime<Utc>>,
    /// The backup target that will have it.
    pub target_id: Option<String>,
}

impl Datastore {
    /// Writes the snapshot as `creating`, and the flow that makes it.
    ///
    /// Refused with, in this order: `AlreadyDue` (its slot was already asked for, also when that snapshot is
    /// gone), `SnapshotRunning`, `Busy` (a restore or a deletion of a snapshot), `WorkloadState`.
    pub async fn snapshot_request(
        &self,
        new: NewSnapshot,
        flow_id: FlowId,
    ) -> Result<Snapshot, Error> {
        self.write("ask for a snapshot", move |connection, now| {
            let gate = gate(connection, new.workload_id)?;
            refuse_if_already_due(connection, &new)?;
            refuse_unless_idle(connection, new.workload_id, &gate)?;
            insert(connection, &new, now)?;
            let create = FlowRequest::SnapshotCreate {
                snapshot_id: new.id,
                workload_id: new.workload_id,
                is_full: new.is_full,
            };
            request(connection, flow_id, &new.project_id, &create, now)?;
            read::fetch(connection, new.id)
        })
        .await
    }
}

fn refuse_if_already_due(connection: &mut AnyConnection, new: &NewSnapshot) -> Result<(), Stop> {
    let Some(due_at) = new.due_at else {
        return Ok(());
    };
    let count: i64 = snapshots::table
        .filter(snapshots::workload_id.eq(new.workload_id.to_string()))
        .filter(snapshots::due_at.eq(to_moment(due_at)))
        .count()
        .get_result(connection)?;
    match count {
        0 => Ok(()),
        _ => Err(Conflict::AlreadyDue.into()),
    }
}

fn insert(
    connection: &mut AnyConnection,
    new: &NewSnapshot,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let snapshot_type = match new.is_full {
        true => SnapshotType::Full,
        false => SnapshotType::Incremental,
    };
    let inserted = diesel::insert_into(snapshots::table)
        .values((
            (
                snapshots::created_at.eq(to_moment(now)),
                snapshots::updated_at.eq(to_moment(now)),
                snapshots::deleted.eq(false),
                snapshots::version.eq(VERSION),
                snapshots::id.eq(new.id.to_string()),
                snapshots::workload_id.eq(new.workload_id.to_string()),
                snapshots::user_id.eq(new.user_id.as_str()),
                snapshots::project_id.eq(new.project_id.as_str()),
                snapshots::snapshot_type.eq(snapshot_type.as_str()),
                snapshots::display_name.eq(&new.name),
                snapshots::display_description.eq(&new.description),
                snapshots::status.eq(SnapshotStatus::Creating.as_str()),
            ),
            (
                snapshots::size.eq(0),
                snapshots::uploaded_size.eq(0),
                snapshots::restore_size.eq(0),
                snapshots::progress_percent.eq(0),
                snapshots::time_taken.eq(0),
                snapshots::due_at.eq(new.due_at.map(to_moment)),
                snapshots::is_kept_for_chain.eq(false),
                snapshots::target_id.eq(new.target_id.as_deref()),
            ),
        ))
        .execute(connection);
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(Conflict::Exists { what: "snapshot" }.into()),
        Err(error) => Err(error.into()),
    }
}
