//! Looking at flows.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use serde_json::Value;
use services_types::{FlowId, FlowRequest, FlowStatus, ProjectId, RestoreId, SnapshotId};

use crate::column::{Row, moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::flows;
use crate::{Datastore, Error};

/// One long operation, as far as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its id, also the saga's.
    pub id: FlowId,
    /// What it is to do.
    pub request: FlowRequest,
    /// The project it works for.
    pub project_id: ProjectId,
    /// Where it stands.
    pub status: FlowStatus,
    /// Who has or had it last; `None` where nobody holds it.
    pub lease_holder: Option<String>,
    /// Until when, if nobody renews.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// How often it was claimed, the fencing number.
    pub epoch: i64,
    /// How often an engine began or went on with it.
    pub attempt_count: u64,
    /// Whether somebody asked it to stop.
    pub is_cancel_requested: bool,
    /// What to tell an operator, once it has ended.
    pub outcome: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
}

/// One entry of a flow's log.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowEvent {
    /// Grows within the flow, with gaps.
    pub seq: i64,
    /// What the runner wrote.
    pub event: Value,
    /// When.
    pub created_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = flows)]
struct FlowRow {
    id: String,
    request: String,
    project_id: String,
    status: String,
    lease_holder: Option<String>,
    lease_expires_at: Option<NaiveDateTime>,
    epoch: i64,
    attempt_count: i32,
    is_cancel_requested: bool,
    outcome: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl TryFrom<FlowRow> for Flow {
    type Error = Error;

    fn try_from(columns: FlowRow) -> Result<Self, Error> {
        let row = Row {
            what: "flow",
            id: &columns.id,
        };
        Ok(Self {
            id: row.parse(&columns.id)?,
            request: row.json(&columns.request)?,
            project_id: row.parse(&columns.project_id)?,
            status: row.parse(&columns.status)?,
            lease_expires_at: columns.lease_expires_at.map(moment),
            epoch: columns.epoch,
            attempt_count: row.count(columns.attempt_count.into())?,
            is_cancel_requested: columns.is_cancel_requested,
            created_at: moment(columns.created_at),
            updated_at: moment(columns.updated_at),
            lease_holder: columns.lease_holder,
            outcome: columns.outcome,
        })
    }
}

impl Datastore {
    /// One flow.
    pub async fn flow_fetch(&self, flow_id: FlowId) -> Result<Flow, Error> {
        self.read("read a flow", move |connection| {
            let row = flows::table
                .find(flow_id.to_string())
                .select(FlowRow::as_select())
                .first(connection)
                .optional()?
                .ok_or_else(|| Error::not_found("flow", &flow_id))?;
            Ok(row.try_into()?)
        })
        .await
    }

    /// The newest flow that was asked for on this snapshot: its making or its deletion.
    pub async fn flow_of_snapshot(&self, snapshot_id: SnapshotId) -> Result<Flow, Error> {
        self.read("read the flow of a snapshot", move |connection| {
            newest_of(connection, "flow of snapshot", &snapshot_id.to_string())
        })
        .await
    }

    /// The flow that performs this restore.
    pub async fn flow_of_restore(&self, restore_id: RestoreId) -> Result<Flow, Error> {
        self.read("read the flow of a restore", move |connection| {
            newest_of(connection, "flow of restore", &restore_id.to_string())
        })
        .await
    }
}

fn newest_of(
    connection: &mut AnyConnection,
    what: &'static str,
    subject_id: &str,
) -> Result<Flow, Stop> {
    let row = flows::table
        .filter(flows::subject_id.eq(subject_id))
        .order((flows::created_at.desc(), flows::id.desc()))
        .select(FlowRow::as_select())
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found(what, &subject_id))?;
    Ok(row.try_into()?)
}
