//! How the making of a snapshot ends: the snapshot settles and the workload is free, in one transaction,
//! so that whoever sees the snapshot settled can ask for the next operation at once.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, SnapshotId, SnapshotStatus};

use super::prune::{Prune, hand_over};
use super::transition::{is_due, status_of};
use crate::column::{to_count, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, snapshot_made_by};
use crate::progress::seconds_since;
use crate::schema::snapshots;
use crate::workload::unlock;
use crate::{Datastore, Error, Stopped};

/// What a snapshot that succeeded has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOutcome {
    /// Bytes of it on the target.
    pub size_bytes: u64,
    /// Bytes that were moved.
    pub uploaded_bytes: u64,
    /// Bytes that a restore of it fills.
    pub restore_bytes: u64,
    /// The last progress message.
    pub message: String,
    /// What its owner should know all the same.
    pub warning: Option<String>,
}

impl Datastore {
    /// From `uploading` to `available`, and the workload is unlocked or goes to the deletion that
    /// retention wants. Twice is once.
    /// Other flows may work on the workload from then on: the last step of a flow.
    pub async fn snapshot_publish(
        &self,
        claim: &FlowClaim,
        outcome: SnapshotOutcome,
        next: Option<Prune>,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("publish a snapshot", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            let (from, created_at) = status_of(connection, id)?;
            if is_due(from, SnapshotStatus::Available)? {
                publish(connection, id, created_at, &outcome, now)?;
                return hand_over(connection, &claim, next, now);
            }
            unlock(connection, &claim, now)
        })
        .await
    }

    /// To `error` or `cancelled` with what its owner shall read, and the workload is unlocked. Twice is once.
    pub async fn snapshot_fail(
        &self,
        claim: &FlowClaim,
        stopped: Stopped,
        message: &str,
    ) -> Result<(), Error> {
        let (claim, message) = (claim.clone(), message.to_owned());
        self.write("note why a snapshot failed", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            let (from, created_at) = status_of(connection, id)?;
            let to = match stopped {
                Stopped::Failed => SnapshotStatus::Error,
                Stopped::Cancelled => SnapshotStatus::Cancelled,
            };
            if is_due(from, to)? {
                fail(connection, id, created_at, to, &message, now)?;
            }
            unlock(connection, &claim, now)
        })
        .await
    }
}

fn publish(
    connection: &mut AnyConnection,
    id: SnapshotId,
    created_at: NaiveDateTime,
    outcome: &SnapshotOutcome,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(snapshots::table.find(id.to_string()))
        .set((
            snapshots::status.eq(SnapshotStatus::Available.as_str()),
            snapshots::size.eq(to_count(outcome.size_bytes)),
            snapshots::uploaded_size.eq(to_count(outcome.uploaded_bytes)),
            snapshots::restore_size.eq(to_count(outcome.restore_bytes)),
            snapshots::progress_percent.eq(100),
            snapshots::progress_msg.eq(&outcome.message),
            snapshots::warning_msg.eq(outcome.warning.as_deref()),
            snapshots::finished_at.eq(to_moment(now)),
            snapshots::time_taken.eq(seconds_since(created_at, now)),
            snapshots::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}

fn fail(
    connection: &mut AnyConnection,
    id: SnapshotId,
    created_at: NaiveDateTime,
    to: SnapshotStatus,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(snapshots::table.find(id.to_string()))
        .set((
            snapshots::status.eq(to.as_str()),
            snapshots::error_msg.eq(message),
            snapshots::finished_at.eq(to_moment(now)),
            snapshots::time_taken.eq(seconds_since(created_at, now)),
            snapshots::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}
