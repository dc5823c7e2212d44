//! The good end of a restore: what it made is recorded, the workload protects the new servers, snapshot and
//! workload are free again; in one transaction.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, RestoreId, RestoreStatus, ServerId, SnapshotStatus, WorkloadId};
use uuid::Uuid;

use super::progress::is_due;
use super::read::status_of;
use crate::column::{VERSION, to_count, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, restore_of};
use crate::progress::seconds_since;
use crate::schema::{restored_vms, restores, workload_vms};
use crate::workload::{Member, drop_member, put_member, unlock};
use crate::{Datastore, Error, snapshot};

/// A server that a restore made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredServer {
    /// The server that was protected.
    pub original_id: ServerId,
    /// The one that was made of it.
    pub server_id: ServerId,
    /// Its name.
    pub name: String,
}

/// What a restore that succeeded has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreOutcome {
    /// In the order of the snapshot.
    pub servers: Vec<RestoredServer>,
    /// Bytes that were to be written.
    pub size_bytes: u64,
    /// Bytes that were written.
    pub uploaded_bytes: u64,
    /// The last progress message.
    pub message: String,
    /// What its owner should know all the same.
    pub warning: Option<String>,
    /// Whether the workload shall protect the new servers in place of the old ones (one-click).
    pub changes_members: bool,
}

impl Datastore {
    /// From `restoring` to `available`; the snapshot is `available` and the workload unlocked. Twice is once.
    /// Other flows may work on the workload from then on: the last step of a flow.
    ///
    /// Where members change, a new server takes the place of its original; the new server of an original
    /// that is no member (any more) comes last; members that were not restored stay.
    pub async fn restore_publish(
        &self,
        claim: &FlowClaim,
        outcome: RestoreOutcome,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("publish a restore", move |connection, now| {
            let (id, snapshot_id) = restore_of(&claim)?;
            hold(connection, &claim, now)?;
            let (from, created_at) = status_of(connection, id)?;
            if is_due(from, RestoreStatus::Available)? {
                publish(connection, id, created_at, &outcome, now)?;
                record(connection, id, &outcome.servers, now)?;
                if outcome.changes_members {
                    swap(
                        connection,
                        claim.request.workload_id(),
                        &outcome.servers,
                        now,
                    )?;
                }
                snapshot::change(connection, snapshot_id, SnapshotStatus::Available, now)?;
            }
            unlock(connection, &claim, now)
        })
        .await
    }
}

fn publish(
    connection: &mut AnyConnection,
    id: RestoreId,
    created_at: NaiveDateTime,
    outcome: &RestoreOutcome,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(restores::table.find(id.to_string()))
        .set((
            restores::status.eq(RestoreStatus::Available.as_str()),
            restores::size.eq(to_count(outcome.size_bytes)),
            restores::uploaded_size.eq(to_count(outcome.uploaded_bytes)),
            restores::progress_percent.eq(100),
            restores::progress_msg.eq(&outcome.message),
            restores::warning_msg.eq(outcome.warning.as_deref()),
            restores::finished_at.eq(to_moment(now)),
            restores::time_taken.eq(seconds_since(created_at, now)),
            restores::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}

fn record(
    connection: &mut AnyConnection,
    id: RestoreId,
    servers: &[RestoredServer],
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    for (position, server) in (0_i32..).zip(servers) {
        diesel::insert_into(restored_vms::table)
            .values((
                restored_vms::created_at.eq(to_moment(now)),
                restored_vms::updated_at.eq(to_moment(now)),
                restored_vms::deleted.eq(false),
                restored_vms::version.eq(VERSION),
                restored_vms::id.eq(Uuid::new_v4().to_string()),
                restored_vms::restore_id.eq(id.to_string()),
                restored_vms::vm_id.eq(server.server_id.as_str()),
                restored_vms::vm_name.eq(&server.name),
                restored_vms::status.eq(RestoreStatus::Available.as_str()),
                restored_vms::original_vm_id.eq(server.original_id.as_str()),
                restored_vms::position.eq(position),
            ))
            .execute(connection)?;
    }
    Ok(())
}

fn swap(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    servers: &[RestoredServer],
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    for server in servers {
        let place = drop_member(connection, workload_id, &server.original_id, now)?;
        let member = Member {
            server_id: server.server_id.clone(),
            name: server.name.clone(),
        };
        let place = match place {
            Some(place) => place,
            None => last_place(connection, workload_id)?,
        };
        put_member(connection, workload_id, &member, place, now)?;
    }
    Ok(())
}

fn last_place(connection: &mut AnyConnection, workload_id: WorkloadId) -> Result<i32, Stop> {
    let last: Option<i32> = workload_vms::table
        .filter(workload_vms::workload_id.eq(workload_id.to_string()))
        .filter(workload_vms::deleted.eq(false))
        .select(diesel::dsl::max(workload_vms::position))
        .first(connection)?;
    Ok(last.map_or(0, |last| last.saturating_add(1)))
}
