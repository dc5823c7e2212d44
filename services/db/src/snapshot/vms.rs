//! Which servers a snapshot holds.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, ServerId, SnapshotId, SnapshotStatus};
use uuid::Uuid;

use crate::column::{Row, VERSION, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, snapshot_made_by};
use crate::schema::snapshot_vms;
use crate::{Datastore, Error};

/// A server in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotVm {
    /// Its id at the time.
    pub server_id: ServerId,
    /// Its name at the time.
    pub name: String,
    /// How far it is.
    pub status: SnapshotStatus,
}

impl Datastore {
    /// Makes the list be exactly this, in this order.
    pub async fn snapshot_vms_set(
        &self,
        claim: &FlowClaim,
        vms: Vec<SnapshotVm>,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("note the servers of a snapshot", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            diesel::delete(snapshot_vms::table)
                .filter(snapshot_vms::snapshot_id.eq(id.to_string()))
                .execute(connection)?;
            for (position, vm) in (0..).zip(&vms) {
                insert(connection, id, vm, position, now)?;
            }
            Ok(())
        })
        .await
    }

    /// The servers in the snapshot; none of an unknown one.
    pub async fn snapshot_vms(&self, id: SnapshotId) -> Result<Vec<SnapshotVm>, Error> {
        self.read("read the servers of a snapshot", move |connection| {
            let id = id.to_string();
            let rows: Vec<(String, String, String)> = snapshot_vms::table
                .filter(snapshot_vms::snapshot_id.eq(&id))
                .filter(snapshot_vms::deleted.eq(false))
                .order(snapshot_vms::position)
                .select((
                    snapshot_vms::vm_id,
                    snapshot_vms::vm_name,
                    snapshot_vms::status,
                ))
                .load(connection)?;
            let row = Row {
                what: "server of snapshot",
                id: &id,
            };
            rows.into_iter()
                .map(|(server_id, name, status)| {
                    Ok(SnapshotVm {
                        server_id: row.parse(&server_id)?,
                        name,
                        status: row.parse(&status)?,
                    })
                })
                .collect()
        })
        .await
    }
}

fn insert(
    connection: &mut AnyConnection,
    id: SnapshotId,
    vm: &SnapshotVm,
    position: i32,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::insert_into(snapshot_vms::table)
        .values((
            snapshot_vms::created_at.eq(to_moment(now)),
            snapshot_vms::updated_at.eq(to_moment(now)),
            snapshot_vms::deleted.eq(false),
            snapshot_vms::version.eq(VERSION),
            snapshot_vms::id.eq(Uuid::new_v4().to_string()),
            snapshot_vms::snapshot_id.eq(id.to_string()),
            snapshot_vms::vm_id.eq(vm.server_id.as_str()),
            snapshot_vms::vm_name.eq(&vm.name),
            snapshot_vms::status.eq(vm.status.as_str()),
            snapshot_vms::position.eq(position),
        ))
        .execute(connection)?;
    Ok(())
}
