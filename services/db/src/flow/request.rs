//! Writing a flow beside the row that it works on.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowId, FlowRequest, FlowStatus, ProjectId};

use crate::Conflict;
use crate::column::{to_json, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::lease::is_duplicate;
use crate::schema::flows;

/// Part of the transaction that changes the row which the flow works on.
pub(crate) fn request(
    connection: &mut AnyConnection,
    flow_id: FlowId,
    project_id: &ProjectId,
    request: &FlowRequest,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let inserted = diesel::insert_into(flows::table)
        .values((
            flows::id.eq(flow_id.to_string()),
            flows::request.eq(to_json("flow", &flow_id, request)?),
            flows::kind.eq(request.kind().as_str()),
            flows::workload_id.eq(request.workload_id().to_string()),
            flows::subject_id.eq(subject_id(request)),
            flows::project_id.eq(project_id.as_str()),
            flows::status.eq(FlowStatus::Running.as_str()),
            flows::epoch.eq(0),
            flows::attempt_count.eq(0),
            flows::write_count.eq(0),
            flows::is_cancel_requested.eq(false),
            flows::created_at.eq(to_moment(now)),
            flows::updated_at.eq(to_moment(now)),
        ))
        .execute(connection);
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(Conflict::Exists { what: "flow" }.into()),
        Err(error) => Err(error.into()),
    }
}

/// The row that the flow was written with.
fn subject_id(request: &FlowRequest) -> String {
    match request {
        FlowRequest::SnapshotCreate { snapshot_id, .. }
        | FlowRequest::SnapshotDelete { snapshot_id, .. }
        | FlowRequest::SnapshotVerify { snapshot_id, .. } => snapshot_id.to_string(),
        FlowRequest::RestoreCreate { restore_id, .. } => restore_id.to_string(),
        FlowRequest::WorkloadDelete { workload_id } => workload_id.to_string(),
    }
}
