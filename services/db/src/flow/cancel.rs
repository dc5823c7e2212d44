//! Asking a flow to stop. The engine looks between its steps and unwinds.

use diesel::prelude::*;
use services_types::{FlowId, FlowKind, FlowStatus, RestoreId, SnapshotId};

use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::flows;
use crate::{Conflict, Datastore, Error};

/// By what a flow is named when it is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowSubject {
    /// By its own id.
    Flow(FlowId),
    /// The flow that makes this snapshot; its deletion cannot be stopped.
    Snapshot(SnapshotId),
    /// The flow that performs this restore.
    Restore(RestoreId),
}

impl Datastore {
    /// Asks a running flow to stop; asking twice is asking once. `Conflict::Ended`: too late.
    pub async fn flow_cancel_request(&self, subject: FlowSubject) -> Result<(), Error> {
        self.write("ask a flow to stop", move |connection, now| {
            let id = flow_id_of(connection, subject)?;
            let asked = diesel::update(flows::table.find(&id))
                .filter(flows::status.eq(FlowStatus::Running.as_str()))
                .set((
                    flows::is_cancel_requested.eq(true),
                    flows::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            match asked {
                0 => Err(Conflict::Ended.into()),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Whether somebody asked the flow to stop.
    pub async fn flow_is_cancel_requested(&self, flow_id: FlowId) -> Result<bool, Error> {
        self.read("see whether a flow is to stop", move |connection| {
            flows::table
                .find(flow_id.to_string())
                .select(flows::is_cancel_requested)
                .first(connection)
                .optional()?
                .ok_or_else(|| Error::not_found("flow", &flow_id).into())
        })
        .await
    }
}

fn flow_id_of(connection: &mut AnyConnection, subject: FlowSubject) -> Result<String, Stop> {
    let (what, kind, subject_id) = match subject {
        FlowSubject::Flow(flow_id) => return existing(connection, flow_id),
        FlowSubject::Snapshot(id) => ("snapshot", FlowKind::SnapshotCreate, id.to_string()),
        FlowSubject::Restore(id) => ("restore", FlowKind::RestoreCreate, id.to_string()),
    };
    flows::table
        .filter(flows::subject_id.eq(&subject_id))
        .filter(flows::kind.eq(kind.as_str()))
        .select(flows::id)
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found(what, &subject_id).into())
}

fn existing(connection: &mut AnyConnection, flow_id: FlowId) -> Result<String, Stop> {
    flows::table
        .find(flow_id.to_string())
        .select(flows::id)
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("flow", &flow_id).into())
}
