//! Looking at snapshots.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{ProjectId, SnapshotId, WorkloadId};

use super::row::{Snapshot, SnapshotRow};
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::snapshots;
use crate::{Datastore, Error};

/// Which snapshots are listed; what is `None` does not matter. Without any: those of all projects.
#[derive(Clone, Debug, Default)]
pub struct SnapshotFilter {
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// Of this workload.
    pub workload_id: Option<WorkloadId>,
    /// Made by this node.
    pub host: Option<String>,
    /// Asked for then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Asked for then or earlier.
    pub created_to: Option<DateTime<Utc>>,
}

impl Datastore {
    /// One snapshot that was not deleted, of whatever project.
    pub async fn snapshot_fetch(&self, id: SnapshotId) -> Result<Snapshot, Error> {
        self.read("read a snapshot", move |connection| fetch(connection, id))
            .await
    }

    /// The snapshots that were not deleted, oldest first.
    pub async fn snapshot_list(&self, filter: SnapshotFilter) -> Result<Vec<Snapshot>, Error> {
        self.read("list snapshots", move |connection| {
            list(connection, &filter)
        })
        .await
    }
}

pub(super) fn fetch(connection: &mut AnyConnection, id: SnapshotId) -> Result<Snapshot, Stop> {
    let row = snapshots::table
        .find(id.to_string())
        .filter(snapshots::deleted.eq(false))
        .select(SnapshotRow::as_select())
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("snapshot", &id))?;
    Ok(row.try_into()?)
}

fn list(connection: &mut AnyConnection, filter: &SnapshotFilter) -> Result<Vec<Snapshot>, Stop> {
    let mut query = snapshots::table
        .filter(snapshots::deleted.eq(false))
        .order((snapshots::created_at, snapshots::id))
        .select(SnapshotRow::as_select())
        .into_boxed();
    if let Some(project_id) = &filter.project_id {
        query = query.filter(snapshots::project_id.eq(project_id.as_str()));
    }
    if let Some(workload_id) = filter.workload_id {
        query = query.filter(snapshots::workload_id.eq(workload_id.to_string()));
    }
    if let Some(host) = &filter.host {
        query = query.filter(snapshots::host.eq(host));
    }
    if let Some(from) = filter.created_from {
        query = query.filter(snapshots::created_at.ge(to_moment(from)));
    }
    if let Some(to) = filter.created_to {
        query = query.filter(snapshots::created_at.le(to_moment(to)));
    }
    typed(query.load(connection)?)
}

pub(super) fn typed(rows: Vec<SnapshotRow>) -> Result<Vec<Snapshot>, Stop> {
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}
