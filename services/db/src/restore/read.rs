//! Looking at restores.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use services_types::{ProjectId, RestoreId, RestoreStatus, SnapshotId};

use super::publish::RestoredServer;
use super::row::{Restore, RestoreRow};
use crate::column::Row;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::{restored_vms, restores};
use crate::{Datastore, Error};

/// Which restores are listed; what is `None` does not matter. Without any: those of all projects.
#[derive(Clone, Debug, Default)]
pub struct RestoreFilter {
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// Of this snapshot.
    pub snapshot_id: Option<SnapshotId>,
}

impl Datastore {
    /// One restore whose record was not deleted, of whatever project.
    pub async fn restore_fetch(&self, id: RestoreId) -> Result<Restore, Error> {
        self.read("read a restore", move |connection| fetch(connection, id))
            .await
    }

    /// The restores whose records were not deleted, oldest first.
    pub async fn restore_list(&self, filter: RestoreFilter) -> Result<Vec<Restore>, Error> {
        self.read("list restores", move |connection| {
            let mut query = restores::table
                .filter(restores::deleted.eq(false))
                .order((restores::created_at, restores::id))
                .select(RestoreRow::as_select())
                .into_boxed();
            if let Some(project_id) = &filter.project_id {
                query = query.filter(restores::project_id.eq(project_id.as_str()));
            }
            if let Some(snapshot_id) = filter.snapshot_id {
                query = query.filter(restores::snapshot_id.eq(snapshot_id.to_string()));
            }
            let rows = query.load(connection)?;
            rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
        })
        .await
    }

    /// The servers that it made; none until it is `available`, and none of an unknown one.
    pub async fn restored_servers(&self, id: RestoreId) -> Result<Vec<RestoredServer>, Error> {
        self.read("read the servers of a restore", move |connection| {
            let id = id.to_string();
            let rows: Vec<(String, String, String)> = restored_vms::table
                .filter(restored_vms::restore_id.eq(&id))
                .filter(restored_vms::deleted.eq(false))
                .order(restored_vms::position)
                .select((
                    restored_vms::original_vm_id,
                    restored_vms::vm_id,
                    restored_vms::vm_name,
                ))
                .load(connection)?;
            let row = Row {
                what: "server of restore",
                id: &id,
            };
            rows.into_iter()
                .map(|(original_id, server_id, name)| {
                    Ok(RestoredServer {
                        original_id: row.parse(&original_id)?,
                        server_id: row.parse(&server_id)?,
                        name,
                    })
                })
                .collect()
        })
        .await
    }
}

pub(super) fn fetch(connection: &mut AnyConnection, id: RestoreId) -> Result<Restore, Stop> {
    let row = restores::table
        .find(id.to_string())
        .filter(restores::deleted.eq(false))
        .select(RestoreRow::as_select())
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("restore", &id))?;
    Ok(row.try_into()?)
}

/// Where the restore stands, its record deleted or not, and when it was asked for.
pub(super) fn status_of(
    connection: &mut AnyConnection,
    id: RestoreId,
) -> Result<(RestoreStatus, NaiveDateTime), Stop> {
    let (status, created_at): (String, NaiveDateTime) = restores::table
        .find(id.to_string())
        .select((restores::status, restores::created_at))
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("restore", &id))?;
    let row = Row {
        what: "restore",
        id: &id.to_string(),
    };
    Ok((row.parse(&status)?, created_at))
}
