//! What the flow that makes a snapshot tells on the way.

use diesel::prelude::*;
use services_types::{FlowClaim, SnapshotId, SnapshotStatus, SnapshotType};

use super::transition::{change, status_of};
use crate::column::{to_count, to_moment};
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, snapshot_made_by};
use crate::schema::snapshots;
use crate::{Conflict, Datastore, Error, Progress};

impl Datastore {
    /// To `executing` or `uploading`; the other states have methods of their own.
    pub async fn snapshot_set_status(
        &self,
        claim: &FlowClaim,
        status: SnapshotStatus,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("set the state of a snapshot", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            if !matches!(
                status,
                SnapshotStatus::Executing | SnapshotStatus::Uploading
            ) {
                let (from, _) = status_of(connection, id)?;
                return Err(Conflict::Transition {
                    what: "snapshot",
                    from: from.as_str(),
                    to: status.as_str(),
                }
                .into());
            }
            change(connection, id, status, now)
        })
        .await
    }

    /// Which node makes it.
    pub async fn snapshot_set_host(&self, claim: &FlowClaim, host: &str) -> Result<(), Error> {
        let (claim, host) = (claim.clone(), host.to_owned());
        self.write("note who makes a snapshot", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            diesel::update(snapshots::table.find(id.to_string()))
                .set((
                    snapshots::host.eq(&host),
                    snapshots::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// The backup target that it goes to.
    pub async fn snapshot_set_target(
        &self,
        claim: &FlowClaim,
        target_id: &str,
    ) -> Result<(), Error> {
        let (claim, target_id) = (claim.clone(), target_id.to_owned());
        self.write("note where a snapshot goes", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            diesel::update(snapshots::table.find(id.to_string()))
                .set((
                    snapshots::target_id.eq(&target_id),
                    snapshots::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// What it turned out to be, and the snapshot that its images build on (`None` for a full one).
    pub async fn snapshot_set_chain(
        &self,
        claim: &FlowClaim,
        snapshot_type: SnapshotType,
        backing: Option<SnapshotId>,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("note what a snapshot builds on", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            let incrementals = match backing {
                Some(backing) => incrementals_up_to(connection, backing)?.saturating_add(1),
                None => 0,
            };
            diesel::update(snapshots::table.find(id.to_string()))
                .set((
                    snapshots::incrementals_since_full.eq(incrementals),
                    snapshots::snapshot_type.eq(snapshot_type.as_str()),
                    snapshots::backing_snapshot_id.eq(backing.map(|id| id.to_string())),
                    snapshots::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    /// How far it is.
    pub async fn snapshot_set_progress(
        &self,
        claim: &FlowClaim,
        progress: Progress,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("note how far a snapshot is", move |connection, now| {
            let id = snapshot_made_by(&claim)?;
            hold(connection, &claim, now)?;
            diesel::update(snapshots::table.find(id.to_string()))
                .set((
                    snapshots::progress_percent.eq(i32::from(progress.percent)),
                    snapshots::progress_msg.eq(&progress.message),
                    snapshots::size.eq(to_count(progress.size_bytes)),
                    snapshots::uploaded_size.eq(to_count(progress.uploaded_bytes)),
                    snapshots::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }
}

fn incrementals_up_to(connection: &mut AnyConnection, id: SnapshotId) -> Result<i32, Stop> {
    let found: Option<i32> = snapshots::table
        .find(id.to_string())
        .select(snapshots::incrementals_since_full)
        .first(connection)
        .optional()?;
    Ok(found.unwrap_or(0))
}
