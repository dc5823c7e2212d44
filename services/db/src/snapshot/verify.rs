//! Verifying a snapshot: asked for by its owner, done by a flow; what it found stays with the snapshot.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use services_types::{FlowClaim, FlowId, FlowRequest, SnapshotId, SnapshotStatus};

use super::read::fetch;
use super::row::Snapshot;
use super::transition::change;
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, request, snapshot_verified_by};
use crate::schema::snapshots;
use crate::workload::{gate, refuse_unless_idle, unlock};
use crate::{Conflict, Datastore, Error};

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// The last progress message.
    pub message: String,
    /// What is wrong with the snapshot; `None`: nothing.
    pub damage: Option<String>,
    /// Earlier snapshots of the workload whose own images are damaged, and in which way.
    pub damaged_parents: Vec<(SnapshotId, String)>,
}

impl Datastore {
    /// From `available` to `verifying`, with the flow that does it.
    ///
    /// Refused with `SnapshotRunning`, `Busy` or `WorkloadState` while something works on the workload, and
    /// with `SnapshotState`.
    pub async fn snapshot_verify_request(
        &self,
        id: SnapshotId,
        flow_id: FlowId,
    ) -> Result<Snapshot, Error> {
        self.write(
            "ask for the verification of a snapshot",
            move |connection, now| {
                let workload_id = fetch(connection, id)?.workload_id;
                let gate = gate(connection, workload_id)?;
                refuse_unless_idle(connection, workload_id, &gate)?;
                let status = fetch(connection, id)?.status;
                if !status.can_become(SnapshotStatus::Verifying) {
                    return Err(Conflict::SnapshotState(status).into());
                }
                change(connection, id, SnapshotStatus::Verifying, now)?;
                let verify = FlowRequest::SnapshotVerify {
                    snapshot_id: id,
                    workload_id,
                };
                request(connection, flow_id, &gate.project_id, &verify, now)?;
                fetch(connection, id)
            },
        )
        .await
    }

    /// How far it is.
    pub async fn snapshot_verify_progress(
        &self,
        claim: &FlowClaim,
        percent: u8,
        message: &str,
    ) -> Result<(), Error> {
        let (claim, message) = (claim.clone(), message.to_owned());
        self.write("note how far a verification is", move |connection, now| {
            let id = snapshot_verified_by(&claim)?;
            hold(connection, &claim, now)?;
            tell(connection, id, percent, &message, now)
        })
        .await
    }

    /// Back to `available` with what was found, and the workload is unlocked. Twice is once.
    pub async fn snapshot_verified(
        &self,
        claim: &FlowClaim,
        found: Verification,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("note what a verification found", move |connection, now| {
            let id = snapshot_verified_by(&claim)?;
            hold(connection, &claim, now)?;
            change(connection, id, SnapshotStatus::Available, now)?;
            tell(connection, id, 100, &found.message, now)?;
            diesel::update(snapshots::table.find(id.to_string()))
                .set((
                    snapshots::verified_at.eq(to_moment(now)),
                    snapshots::damage_msg.eq(found.damage.as_deref()),
                ))
                .execute(connection)?;
            for (parent, damage) in &found.damaged_parents {
                mark_damaged(connection, &claim, *parent, damage, now)?;
            }
            unlock(connection, &claim, now)
        })
        .await
    }

    /// It could not be verified: back to `available`, with what its owner shall read; what an earlier one
    /// found stands; the workload is unlocked. Twice is once.
    pub async fn snapshot_verify_fail(
        &self,
        claim: &FlowClaim,
        message: &str,
    ) -> Result<(), Error> {
        let (claim, message) = (claim.clone(), message.to_owned());
        self.write(
            "note why a snapshot was not verified",
            move |connection, now| {
                let id = snapshot_verified_by(&claim)?;
                hold(connection, &claim, now)?;
                change(connection, id, SnapshotStatus::Available, now)?;
                tell(connection, id, 100, &message, now)?;
                unlock(connection, &claim, now)
            },
        )
        .await
    }
}

fn tell(
    connection: &mut AnyConnection,
    id: SnapshotId,
    percent: u8,
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(snapshots::table.find(id.to_string()))
        .set((
            snapshots::progress_percent.eq(i32::from(percent)),
            snapshots::progress_msg.eq(message),
            snapshots::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}

fn mark_damaged(
    connection: &mut AnyConnection,
    claim: &FlowClaim,
    id: SnapshotId,
    damage: &str,
    now: DateTime<Utc>,
) -> Result<(), Stop> {
    diesel::update(snapshots::table.find(id.to_string()))
        .filter(snapshots::workload_id.eq(claim.request.workload_id().to_string()))
        .set((
            snapshots::damage_msg.eq(damage),
            snapshots::updated_at.eq(to_moment(now)),
        ))
        .execute(connection)?;
    Ok(())
}
