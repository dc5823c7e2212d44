//! What a snapshot's servers looked like: the plan that its flow made, and what clients are shown.

use diesel::prelude::*;
use services_types::{FlowClaim, SnapshotId, Topology};

use crate::column::{Row, to_json};
use crate::flow::{hold, snapshot_made_by};
use crate::schema::snapshot_topologies;
use crate::{Datastore, Error};

impl Datastore {
    /// Keeps the topology; replaces the one that was kept.
    pub async fn snapshot_topology_set(
        &self,
        claim: &FlowClaim,
        topology: &Topology,
    ) -> Result<(), Error> {
        let text = to_json("topology", &claim.flow_id, topology)?;
        let claim = claim.clone();
        self.write("keep the topology of a snapshot", move |connection, now| {
            let id = snapshot_made_by(&claim)?.to_string();
            hold(connection, &claim, now)?;
            diesel::delete(snapshot_topologies::table.find(&id)).execute(connection)?;
            diesel::insert_into(snapshot_topologies::table)
                .values((
                    snapshot_topologies::snapshot_id.eq(&id),
                    snapshot_topologies::topology.eq(&text),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// The topology; `None` until it was read from the cloud, and of an unknown snapshot.
    pub async fn snapshot_topology_fetch(&self, id: SnapshotId) -> Result<Option<Topology>, Error> {
        self.read("read the topology of a snapshot", move |connection| {
            let id = id.to_string();
            let text: Option<String> = snapshot_topologies::table
                .find(&id)
                .select(snapshot_topologies::topology)
                .first(connection)
                .optional()?;
            let row = Row {
                what: "topology of snapshot",
                id: &id,
            };
            Ok(text.map(|text| row.json(&text)).transpose()?)
        })
        .await
    }
}
