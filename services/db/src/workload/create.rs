//! Making a workload.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use services_types::{ProjectId, UserId, WorkloadId, WorkloadStatus, WorkloadTypeId};

use super::row::Workload;
use super::{Member, members, metadata, read};
use crate::column::{VERSION, to_json, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::lease::is_duplicate;
use crate::schema::{workload_types, workloads};
use crate::{Conflict, Datastore, Error};

/// A workload that is to be made.
#[derive(Clone, Debug)]
pub struct NewWorkload {
    /// Its id, chosen by the caller.
    pub id: WorkloadId,
    /// Who makes it.
    pub user_id: UserId,
    /// Whose it will be.
    pub project_id: ProjectId,
    /// At most 255 characters.
    pub name: String,
    /// Of any length.
    pub description: String,
    /// Serial or parallel.
    pub workload_type_id: WorkloadTypeId,
    /// As it was given.
    pub source_platform: Option<String>,
    /// The contract's `jobschedule`.
    pub schedule: Value,
    /// As it was given.
    pub availability_zone: Option<String>,
    /// As it was given.
    pub metadata: BTreeMap<String, String>,
    /// In the order in which they are snapshotted.
    pub members: Vec<Member>,
}

impl Datastore {
    /// Writes the workload as `creating` and claims its servers: all or none (`Conflict::ServerClaimed`).
    /// Then [`Datastore::workload_set_available`] or [`Datastore::workload_set_error`] is due.
    pub async fn workload_create(&self, new: NewWorkload) -> Result<Workload, Error> {
        self.write("create a workload", move |connection, now| {
            refuse_unknown_type(connection, new.workload_type_id)?;
            insert(connection, &new, now)?;
            members::replace(connection, new.id, &new.members, now)?;
            metadata::replace(connection, new.id, &new.metadata, now)?;
            read::fetch(connection, new.id)
        })
        .await
    }
}

fn refuse_unknown_type(connection: &mut AnyConnection, id: WorkloadTypeId) -> Result<(), Stop> {
    let known: i64 = workload_types::table
        .find(id.to_string())
        .filter(workload_types::deleted.eq(false))
        .count()
        .get_result(connection)?;
    match known {
        0 => Err(Error::not_found("workload type", &id).into()),
        _ => Ok(()),
    }
}

fn insert(
    connection: &mut AnyConnection,
    new: &NewWorkload,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let inserted = diesel::insert_into(workloads::table)
        .values((
            workloads::created_at.eq(to_moment(now)),
            workloads::updated_at.eq(to_moment(now)),
            workloads::deleted.eq(false),
            workloads::version.eq(VERSION),
            workloads::id.eq(new.id.to_string()),
            workloads::user_id.eq(new.user_id.as_str()),
            workloads::project_id.eq(new.project_id.as_str()),
            workloads::display_name.eq(&new.name),
            workloads::display_description.eq(&new.description),
            workloads::workload_type_id.eq(new.workload_type_id.to_string()),
            workloads::source_platform.eq(new.source_platform.as_deref()),
            workloads::status.eq(WorkloadStatus::Creating.as_str()),
            workloads::jobschedule.eq(to_json("workload", &new.id, &new.schedule)?),
            workloads::availability_zone.eq(new.availability_zone.as_deref()),
            workloads::revision.eq(0),
        ))
        .execute(connection);
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(Conflict::Exists { what: "workload" }.into()),
        Err(error) => Err(error.into()),
    }
}
