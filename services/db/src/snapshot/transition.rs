//! From one state of a snapshot to the next.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use services_types::{SnapshotId, SnapshotStatus};

use crate::column::{Row, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::schema::snapshots;
use crate::{Conflict, Error};

/// Where the snapshot stands, deleted or not, and when it was asked for.
pub(crate) fn status_of(
    connection: &mut AnyConnection,
    id: SnapshotId,
) -> Result<(SnapshotStatus, NaiveDateTime), Stop> {
    let (status, created_at): (String, NaiveDateTime) = snapshots::table
        .find(id.to_string())
        .select((snapshots::status, snapshots::created_at))
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("snapshot", &id))?;
    let row = Row {
        what: "snapshot",
        id: &id.to_string(),
    };
    Ok((row.parse(&status)?, created_at))
}

/// Whether there is anything to do to get there: steps run twice. Refuses an illegal way.
pub(super) fn is_due(from: SnapshotStatus, to: SnapshotStatus) -> Result<bool, Conflict> {
    if from == to {
        Ok(false)
    } else if from.can_become(to) {
        Ok(true)
    } else {
        Err(Conflict::Transition {
            what: "snapshot",
            from: from.as_str(),
            to: to.as_str(),
        })
    }
}

/// Writes the new state if it is another and legal.
pub(crate) fn change(
    connection: &mut AnyConnection,
    id: SnapshotId,
    to: SnapshotStatus,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    let (from, _) = status_of(connection, id)?;
    if is_due(from, to)? {
        diesel::update(snapshots::table.find(id.to_string()))
            .set((
                snapshots::status.eq(to.as_str()),
                snapshots::updated_at.eq(to_moment(now)),
            ))
            .execute(connection)?;
    }
    Ok(())
}
