//! Which servers a workload protects. A server belongs to one workload at most: `claimed_servers` has the
//! server's id as its key, so that two nodes cannot both write it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{ServerId, WorkloadId, WorkloadStatus};
use uuid::Uuid;

use crate::Conflict;
use crate::column::{Row, VERSION, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::lease::is_duplicate;
use crate::schema::{claimed_servers, workload_vms};

/// A server of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The server.
    pub server_id: ServerId,
    /// Its name when it was added.
    pub name: String,
}

/// How a list of members differs from the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChanges {
    /// Are members now and were not.
    pub added: Vec<Member>,
    /// Were members and are not.
    pub removed: Vec<Member>,
}

/// Members in the order in which they were added.
pub(super) fn load(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
) -> Result<Vec<Member>, Stop> {
    let rows: Vec<(String, String)> = workload_vms::table
        .filter(workload_vms::workload_id.eq(workload_id.to_string()))
        .filter(workload_vms::deleted.eq(false))
        .order((workload_vms::position, workload_vms::id))
        .select((workload_vms::vm_id, workload_vms::vm_name))
        .load(connection)?;
    rows.into_iter()
        .map(|(server_id, name)| {
            let row = Row {
                what: "member of workload",
                id: &workload_id.to_string(),
            };
            Ok(Member {
                server_id: row.parse(&server_id)?,
                name,
            })
        })
        .collect()
}

/// Makes the list be exactly this; a server that stands in it twice counts once.
pub(super) fn replace(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    members: &[Member],
    now: DateTime<Utc>,
) -> Result<MemberChanges, Stop> {
    let old = load(connection, workload_id)?;
    let mut changes = MemberChanges::default();
    for member in &old {
        if !is_in(members, &member.server_id) {
            drop_member(connection, workload_id, &member.server_id, now)?;
            changes.removed.push(member.clone());
        }
    }
    for (position, member) in (0..).zip(members) {
        if is_in(&old, &member.server_id) || is_in(&changes.added, &member.server_id) {
            move_member(connection, workload_id, member, position, now)?;
        } else {
            put_member(connection, workload_id, member, position, now)?;
            changes.added.push(member.clone());
        }
    }
    Ok(changes)
}

fn is_in(members: &[Member], server_id: &ServerId) -> bool {
    members.iter().any(|member| &member.server_id == server_id)
}

/// Adds a member and claims its server; `ServerClaimed` where another workload has it.
pub(crate) fn put_member(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    member: &Member,
    position: i32,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    claim(connection, &member.server_id, workload_id)?;
    diesel::insert_into(workload_vms::table)
        .values((
            workload_vms::created_at.eq(to_moment(now)),
            workload_vms::updated_at.eq(to_moment(now)),
            workload_vms::deleted.eq(false),
            workload_vms::version.eq(VERSION),
            workload_vms::id.eq(Uuid::new_v4().to_string()),
            workload_vms::workload_id.eq(workload_id.to_string()),
            workload_vms::vm_id.eq(member.server_id.as_str()),
            workload_vms::vm_name.eq(&member.name),
            workload_vms::status.eq(WorkloadStatus::Available.as_str()),
            workload_vms::position.eq(position),
        ))
        .execute(connection)?;
    Ok(())
}

/// Takes a member out and frees its server; returns the place it had, `None` if it was no member.
pub(crate) fn drop_member(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    server_id: &ServerId,
    now: DateTime<Utc>,
) -> Result<Option<i32>, Stop> {
    let found: Option<(String, i32)> = workload_vms::table
        .filter(workload_vms::workload_id.eq(workload_id.to_string()))
        .filter(workload_vms::vm_id.eq(server_id.as_str()))
        .filter(workload_vms::deleted.eq(false))
        .select((workload_vms::id, workload_vms::position))
        .first(connection)
        .optional()?;
    let Some((id, position)) = found else {
        return Ok(None);
    };
    diesel::update(workload_vms::table.find(id))
        .set((
            workload_vms::status.eq(WorkloadStatus::Deleted.as_str()),
            workload_vms::deleted.eq(true),
            workload_vms::deleted_at.eq(to_moment(now)),
            workload_vms::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    diesel::delete(claimed_servers::table.find(server_id.as_str()))
        .filter(claimed_servers::workload_id.eq(workload_id.to_string()))
        .execute(connection)?;
    Ok(Some(position))
}

fn move_member(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    member: &Member,
    position: i32,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(workload_vms::table)
        .filter(workload_vms::workload_id.eq(workload_id.to_string()))
        .filter(workload_vms::vm_id.eq(member.server_id.as_str()))
        .filter(workload_vms::deleted.eq(false))
        .set((
            workload_vms::vm_name.eq(&member.name),
            workload_vms::position.eq(position),
            workload_vms::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}

fn claim(
    connection: &mut AnyConnection,
    server_id: &ServerId,
    workload_id: WorkloadId,
) -> Result<(), Stop> {
    let inserted = diesel::insert_into(claimed_servers::table)
        .values((
            claimed_servers::server_id.eq(server_id.as_str()),
            claimed_servers::workload_id.eq(workload_id.to_string()),
        ))
        .execute(connection);
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(claimed(connection, server_id)?),
        Err(error) => Err(error.into()),
    }
}

fn claimed(connection: &mut AnyConnection, server_id: &ServerId) -> Result<Stop, Stop> {
    let owner: String = claimed_servers::table
        .find(server_id.as_str())
        .select(claimed_servers::workload_id)
        .first(connection)?;
    let row = Row {
        what: "claim on server",
        id: server_id.as_str(),
    };
    Ok(Conflict::ServerClaimed {
        server_id: server_id.clone(),
        workload_id: row.parse(&owner)?,
    }
    .into())
}
