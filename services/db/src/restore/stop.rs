//! The other ends of a restore, and of its record.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, RestoreId, RestoreStatus, SnapshotStatus};

use super::progress::is_due;
use super::read::{fetch, status_of};
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, restore_of};
use crate::progress::seconds_since;
use crate::schema::restores;
use crate::workload::unlock;
use crate::{Datastore, Error, Stopped, snapshot};

impl Datastore {
    /// To `error` or `cancelled` with what its owner shall read; the snapshot is `available` and the workload
    /// unlocked. Twice is once.
    pub async fn restore_fail(
        &self,
        claim: &FlowClaim,
        stopped: Stopped,
        message: &str,
    ) -> Result<(), Error> {
        let (claim, message) = (claim.clone(), message.to_owned());
        self.write("note why a restore failed", move |connection, now| {
            let (id, snapshot_id) = restore_of(&claim)?;
            hold(connection, &claim, now)?;
            let (from, created_at) = status_of(connection, id)?;
            let to = match stopped {
                Stopped::Failed => RestoreStatus::Error,
                Stopped::Cancelled => RestoreStatus::Cancelled,
            };
            if is_due(from, to)? {
                fail(connection, id, created_at, to, &message, now)?;
                snapshot::change(connection, snapshot_id, SnapshotStatus::Available, now)?;
            }
            unlock(connection, &claim, now)
        })
        .await
    }

    /// Deletes the record of a settled restore; what was restored stays.
    pub async fn restore_delete(&self, id: RestoreId) -> Result<(), Error> {
        self.write("delete the record of a restore", move |connection, now| {
            let from = fetch(connection, id)?.status;
            is_due(from, RestoreStatus::Deleted)?;
            diesel::update(restores::table.find(id.to_string()))
                .set((
                    restores::status.eq(RestoreStatus::Deleted.as_str()),
                    restores::deleted.eq(true),
                    restores::deleted_at.eq(to_moment(now)),
                    restores::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }
}

fn fail(
    connection: &mut AnyConnection,
    id: RestoreId,
    created_at: NaiveDateTime,
    to: RestoreStatus,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(restores::table.find(id.to_string()))
        .set((
            restores::status.eq(to.as_str()),
            restores::error_msg.eq(message),
            restores::finished_at.eq(to_moment(now)),
            restores::time_taken.eq(seconds_since(created_at, now)),
            restores::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}
