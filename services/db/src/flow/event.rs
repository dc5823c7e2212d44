//! The log of a flow: which steps there are, and what became of each. Opaque JSON of the runner's.

use diesel::prelude::*;
use serde_json::Value;
use services_types::{FlowClaim, FlowId};

use super::hold;
use super::read::FlowEvent;
use crate::column::{Row, moment, to_json, to_moment};
use crate::schema::{flow_events, flows};
use crate::{Datastore, Error};

impl Datastore {
    /// Keeps the list of steps; replaces the one that was kept.
    pub async fn flow_save_dag(&self, claim: &FlowClaim, dag: &Value) -> Result<(), Error> {
        let text = to_json("flow", &claim.flow_id, dag)?;
        let claim = claim.clone();
        self.write("save the steps of a flow", move |connection, now| {
            hold(connection, &claim, now)?;
            diesel::update(flows::table.find(claim.flow_id.to_string()))
                .set(flows::dag.eq(&text))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// The list of steps; `None` where no engine has begun.
    pub async fn flow_dag(&self, flow_id: FlowId) -> Result<Option<Value>, Error> {
        self.read("read the steps of a flow", move |connection| {
            let id = flow_id.to_string();
            let dag = flows::table
                .find(&id)
                .select(flows::dag)
                .first::<Option<String>>(connection)
                .optional()?
                .ok_or_else(|| Error::not_found("flow", &flow_id))?;
            let row = Row {
                what: "flow",
                id: &id,
            };
            Ok(dag.map(|text| row.json(&text)).transpose()?)
        })
        .await
    }

    /// Adds one event at the end of the flow's log.
    pub async fn flow_event_append(&self, claim: &FlowClaim, event: &Value) -> Result<(), Error> {
        let text = to_json("flow event", &claim.flow_id, event)?;
        let claim = claim.clone();
        self.write("append to the log of a flow", move |connection, now| {
            hold(connection, &claim, now)?;
            let id = claim.flow_id.to_string();
            // `hold` has just raised it under the row's lock: unique, growing, the same on every node.
            let seq: i64 = flows::table
                .find(&id)
                .select(flows::write_count)
                .first(connection)?;
            diesel::insert_into(flow_events::table)
                .values((
                    flow_events::flow_id.eq(&id),
                    flow_events::seq.eq(seq),
                    flow_events::event.eq(&text),
                    flow_events::created_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// The flow's log in the order in which it was written.
    pub async fn flow_events(&self, flow_id: FlowId) -> Result<Vec<FlowEvent>, Error> {
        self.read("read the log of a flow", move |connection| {
            let id = flow_id.to_string();
            let rows: Vec<(i64, String, chrono::NaiveDateTime)> = flow_events::table
                .filter(flow_events::flow_id.eq(&id))
                .order(flow_events::seq)
                .select((
                    flow_events::seq,
                    flow_events::event,
                    flow_events::created_at,
                ))
                .load(connection)?;
            let row = Row {
                what: "flow",
                id: &id,
            };
            rows.into_iter()
                .map(|(seq, event, created_at)| {
                    Ok(FlowEvent {
                        seq,
                        event: row.json(&event)?,
                        created_at: moment(created_at),
                    })
                })
                .collect()
        })
        .await
    }
}
