//! One workload, as the database keeps it.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use services_types::{FlowId, ProjectId, UserId, WorkloadId, WorkloadStatus, WorkloadTypeId};

use crate::Error;
use crate::column::{Row, moment};
use crate::schema::workloads;

/// A workload without its members and metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Its id.
    pub id: WorkloadId,
    /// Who made it; work is done with their trust.
    pub user_id: UserId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Display name.
    pub name: String,
    /// Display description.
    pub description: String,
    /// Serial or parallel.
    pub workload_type_id: WorkloadTypeId,
    /// What kind of cloud, as it was given.
    pub source_platform: Option<String>,
    /// Where it stands.
    pub status: WorkloadStatus,
    /// Why it is in `error`.
    pub error_msg: Option<String>,
    /// The contract's `jobschedule`, as it was given.
    pub schedule: Value,
    /// As it was given.
    pub availability_zone: Option<String>,
    /// Which flow works on it, while it is `locked`.
    pub locked_by_flow: Option<FlowId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = workloads)]
pub(super) struct WorkloadRow {
    id: String,
    user_id: String,
    project_id: String,
    display_name: String,
    display_description: String,
    workload_type_id: String,
    source_platform: Option<String>,
    status: String,
    error_msg: Option<String>,
    jobschedule: String,
    availability_zone: Option<String>,
    locked_by_flow: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl TryFrom<WorkloadRow> for Workload {
    type Error = Error;

    fn try_from(columns: WorkloadRow) -> Result<Self, Error> {
        let row = Row {
            what: "workload",
            id: &columns.id,
        };
        Ok(Self {
            id: row.parse(&columns.id)?,
            user_id: row.parse(&columns.user_id)?,
            project_id: row.parse(&columns.project_id)?,
            workload_type_id: row.parse(&columns.workload_type_id)?,
            status: row.parse(&columns.status)?,
            schedule: row.json(&columns.jobschedule)?,
            locked_by_flow: row.parse_if_any(columns.locked_by_flow.as_deref())?,
            created_at: moment(columns.created_at),
            updated_at: moment(columns.updated_at),
            name: columns.display_name,
            description: columns.display_description,
            source_platform: columns.source_platform,
            error_msg: columns.error_msg,
            availability_zone: columns.availability_zone,
        })
    }
}
