//! Which snapshot's images build on which. A deleted snapshot stays in a chain while later ones need it.

use diesel::prelude::*;
use services_types::{FlowClaim, SnapshotId, SnapshotStatus, WorkloadId};

use super::read::typed;
use super::row::{Snapshot, SnapshotRow};
use crate::column::to_moment;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::hold;
use crate::schema::snapshots;
use crate::{Datastore, Error};

impl Datastore {
    /// The newest snapshot of the workload that an incremental can build on.
    pub async fn snapshot_newest_available(
        &self,
        workload_id: WorkloadId,
    ) -> Result<Option<Snapshot>, Error> {
        self.read(
            "find the newest snapshot of a workload",
            move |connection| {
                let row = snapshots::table
                    .filter(snapshots::workload_id.eq(workload_id.to_string()))
                    .filter(snapshots::deleted.eq(false))
                    .filter(snapshots::status.eq(SnapshotStatus::Available.as_str()))
                    .order((snapshots::created_at.desc(), snapshots::id.desc()))
                    .select(SnapshotRow::as_select())
                    .first(connection)
                    .optional()?;
                Ok(row.map(TryInto::try_into).transpose()?)
            },
        )
        .await
    }

    /// The snapshots that were to build on this one, oldest first: deleted but kept ones included, and
    /// those in error too, whose making or whose deletion may have failed. What their manifests say counts.
    pub async fn snapshot_children(&self, id: SnapshotId) -> Result<Vec<Snapshot>, Error> {
        self.read("find what builds on a snapshot", move |connection| {
            let rows = snapshots::table
                .filter(snapshots::backing_snapshot_id.eq(id.to_string()))
                .filter(
                    snapshots::deleted
                        .eq(false)
                        .or(snapshots::is_kept_for_chain.eq(true)),
                )
                .order((snapshots::created_at, snapshots::id))
                .select(SnapshotRow::as_select())
                .load(connection)?;
            typed(rows)
        })
        .await
    }

    /// The snapshot and all that its images need, newest first, down to the full one; deleted but kept
    /// ones included.
    pub async fn snapshot_chain(&self, id: SnapshotId) -> Result<Vec<Snapshot>, Error> {
        self.read("read the chain of a snapshot", move |connection| {
            let mut chain = vec![with_images(connection, id)?];
            while let Some(backing) = chain.last().and_then(|it| it.backing_snapshot_id) {
                if chain.iter().any(|it| it.id == backing) {
                    return Err(goes_in_a_circle(id).into());
                }
                chain.push(with_images(connection, backing)?);
            }
            Ok(chain)
        })
        .await
    }

    /// The workload's deleted snapshots whose images are still on the target, oldest first.
    pub async fn snapshots_kept_for_chain(
        &self,
        workload_id: WorkloadId,
    ) -> Result<Vec<Snapshot>, Error> {
        self.read("find deleted snapshots with images", move |connection| {
            let rows = snapshots::table
                .filter(snapshots::workload_id.eq(workload_id.to_string()))
                .filter(snapshots::is_kept_for_chain.eq(true))
                .order((snapshots::created_at, snapshots::id))
                .select(SnapshotRow::as_select())
                .load(connection)?;
            typed(rows)
        })
        .await
    }

    /// The images of a deleted snapshot of the claim's workload were removed from the target.
    pub async fn snapshot_forget_images(
        &self,
        claim: &FlowClaim,
        id: SnapshotId,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write("forget the images of a snapshot", move |connection, now| {
            hold(connection, &claim, now)?;
            diesel::update(snapshots::table.find(id.to_string()))
                .filter(snapshots::workload_id.eq(claim.request.workload_id().to_string()))
                .filter(snapshots::deleted.eq(true))
                .set((
                    snapshots::is_kept_for_chain.eq(false),
                    snapshots::updated_at.eq(to_moment(now)),
                ))
                .execute(connection)?;
            Ok(())
        })
        .await
    }
}

fn with_images(connection: &mut AnyConnection, id: SnapshotId) -> Result<Snapshot, Stop> {
    let row = snapshots::table
        .find(id.to_string())
        .filter(
            snapshots::deleted
                .eq(false)
                .or(snapshots::is_kept_for_chain.eq(true)),
        )
        .select(SnapshotRow::as_select())
        .first(connection)
        .optional()?
        .ok_or_else(|| Error::not_found("snapshot", &id))?;
    Ok(row.try_into()?)
}

fn goes_in_a_circle(id: SnapshotId) -> Error {
    Error::Corrupt {
        what: "chain of snapshot",
        id: id.to_string(),
        source: "it goes in a circle".into(),
    }
}
