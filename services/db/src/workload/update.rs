//! Changing what a workload's owner may change.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use services_types::{WorkloadId, WorkloadStatus};

use super::gate::gate;
use super::{Member, MemberChanges, members, metadata};
use crate::column::{to_json, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::workloads;
use crate::{Conflict, Datastore, Error};

/// What becomes different; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct WorkloadChange {
    /// At most 255 characters.
    pub name: Option<String>,
    /// Of any length.
    pub description: Option<String>,
    /// The contract's `jobschedule`, complete.
    pub schedule: Option<Value>,
    /// All of the metadata.
    pub metadata: Option<BTreeMap<String, String>>,
    /// The complete new list.
    pub members: Option<Vec<Member>>,
}

/// The columns of the workload's own row.
#[derive(AsChangeset)]
#[diesel(table_name = workloads)]
struct Columns<'a> {
    display_name: Option<&'a str>,
    display_description: Option<&'a str>,
    jobschedule: Option<String>,
    updated_at: chrono::NaiveDateTime,
}

impl Datastore {
    /// Changes the workload, all of it or nothing, and tells whose membership changed.
    ///
    /// Members cannot change while a flow works on them (`Conflict::WorkloadState`), the rest can;
    /// nothing changes once a deletion has begun.
    pub async fn workload_update(
        &self,
        id: WorkloadId,
        change: WorkloadChange,
    ) -> Result<MemberChanges, Error> {
        self.write("change a workload", move |connection, now| {
            apply(connection, id, &change, now)
        })
        .await
    }
}

fn apply(
    connection: &mut AnyConnection,
    id: WorkloadId,
    change: &WorkloadChange,
    now: DateTime<Utc>,
) -> Result<MemberChanges, Stop> {
    let status = gate(connection, id)?.status;
    let is_worked_on = status == WorkloadStatus::Locked && change.members.is_some();
    if is_worked_on || status == WorkloadStatus::Deleting {
        return Err(Conflict::WorkloadState(status).into());
    }
    let schedule = change.schedule.as_ref();
    let columns = Columns {
        display_name: change.name.as_deref(),
        display_description: change.description.as_deref(),
        jobschedule: schedule
            .map(|schedule| to_json("workload", &id, schedule))
            .transpose()?,
        updated_at: to_moment(now),
    };
    diesel::update(workloads::table.find(id.to_string()))
        .set(columns)
        .execute(connection)?;
    if let Some(metadata) = &change.metadata {
        metadata::replace(connection, id, metadata, now)?;
    }
    match &change.members {
        Some(members) => members::replace(connection, id, members, now),
        None => Ok(MemberChanges::default()),
    }
}
