//! The one Cinder snapshot that is kept of each volume, so that the next snapshot of the workload can be an
//! incremental. One that was superseded stays here until it was removed from the cloud, so that
//! none is forgotten there when an engine dies in between.

use diesel::prelude::*;
use services_types::{FlowClaim, SnapshotId, VolumeId, VolumeSnapshotId, WorkloadId};

use crate::column::Row;
use crate::connection::AnyConnection;
use crate::error::Stop;
use crate::flow::{hold, snapshot_made_by};
use crate::schema::volume_anchors;
use crate::{Datastore, Error};

/// A Cinder snapshot that stands for a volume as of one of our snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeAnchor {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Cinder's.
    pub volume_snapshot_id: VolumeSnapshotId,
    /// Ours, for which it was taken.
    pub snapshot_id: SnapshotId,
}

impl Datastore {
    /// The anchors that the next incremental starts from.
    pub async fn volume_anchors_fetch(&self, id: WorkloadId) -> Result<Vec<VolumeAnchor>, Error> {
        self.read("read the volume anchors of a workload", move |connection| {
            load(connection, id, false)
        })
        .await
    }

    /// The anchors that were superseded and have not yet been removed from the cloud.
    pub async fn volume_anchors_superseded(
        &self,
        id: WorkloadId,
    ) -> Result<Vec<VolumeAnchor>, Error> {
        self.read("read the superseded volume anchors", move |connection| {
            load(connection, id, true)
        })
        .await
    }

    /// The Cinder snapshots of the claimed snapshot become the workload's anchors, all others are superseded.
    /// Returns what must be removed from the cloud, then [`Datastore::volume_anchors_forget`] is due.
    /// Twice is once.
    pub async fn volume_anchors_replace(
        &self,
        claim: &FlowClaim,
        anchors: Vec<(VolumeId, VolumeSnapshotId)>,
    ) -> Result<Vec<VolumeAnchor>, Error> {
        let claim = claim.clone();
        self.write(
            "replace the volume anchors of a workload",
            move |connection, now| {
                let snapshot_id = snapshot_made_by(&claim)?;
                let workload_id = claim.request.workload_id();
                hold(connection, &claim, now)?;
                supersede(connection, workload_id)?;
                for (volume_id, volume_snapshot_id) in &anchors {
                    diesel::delete(volume_anchors::table.find(volume_snapshot_id.as_str()))
                        .filter(volume_anchors::workload_id.eq(workload_id.to_string()))
                        .execute(connection)?;
                    diesel::insert_into(volume_anchors::table)
                        .values((
                            volume_anchors::volume_snapshot_id.eq(volume_snapshot_id.as_str()),
                            volume_anchors::workload_id.eq(workload_id.to_string()),
                            volume_anchors::volume_id.eq(volume_id.as_str()),
                            volume_anchors::snapshot_id.eq(snapshot_id.to_string()),
                            volume_anchors::is_superseded.eq(false),
                        ))
                        .execute(connection)?;
                }
                load(connection, workload_id, true)
            },
        )
        .await
    }

    /// Supersedes all anchors of the claim's workload: the next snapshot is a full one. Returns what must be
    /// removed from the cloud.
    pub async fn volume_anchors_clear(
        &self,
        claim: &FlowClaim,
    ) -> Result<Vec<VolumeAnchor>, Error> {
        let claim = claim.clone();
        self.write(
            "clear the volume anchors of a workload",
            move |connection, now| {
                hold(connection, &claim, now)?;
                supersede(connection, claim.request.workload_id())?;
                load(connection, claim.request.workload_id(), true)
            },
        )
        .await
    }

    /// These superseded Cinder snapshots of the claim's workload are gone from the cloud.
    pub async fn volume_anchors_forget(
        &self,
        claim: &FlowClaim,
        gone: Vec<VolumeSnapshotId>,
    ) -> Result<(), Error> {
        let claim = claim.clone();
        self.write(
            "forget superseded volume anchors",
            move |connection, now| {
                hold(connection, &claim, now)?;
                for volume_snapshot_id in &gone {
                    diesel::delete(volume_anchors::table.find(volume_snapshot_id.as_str()))
                        .filter(
                            volume_anchors::workload_id.eq(claim.request.workload_id().to_string()),
                        )
                        .filter(volume_anchors::is_superseded.eq(true))
                        .execute(connection)?;
                }
                Ok(())
            },
        )
        .await
    }
}

fn supersede(connection: &mut AnyConnection, workload_id: WorkloadId) -> Result<(), Stop> {
    diesel::update(volume_anchors::table)
        .filter(volume_anchors::workload_id.eq(workload_id.to_string()))
        .set(volume_anchors::is_superseded.eq(true))
        .execute(connection)?;
    Ok(())
}

fn load(
    connection: &mut AnyConnection,
    workload_id: WorkloadId,
    is_superseded: bool,
) -> Result<Vec<VolumeAnchor>, Stop> {
    let rows: Vec<(String, String, String)> = volume_anchors::table
        .filter(volume_anchors::workload_id.eq(workload_id.to_string()))
        .filter(volume_anchors::is_superseded.eq(is_superseded))
        .order((
            volume_anchors::volume_id,
            volume_anchors::volume_snapshot_id,
        ))
        .select((
            volume_anchors::volume_id,
            volume_anchors::volume_snapshot_id,
            volume_anchors::snapshot_id,
        ))
        .load(connection)?;
    rows.into_iter()
        .map(|(volume_id, volume_snapshot_id, snapshot_id)| {
            let row = Row {
                what: "volume anchor",
                id: &volume_snapshot_id,
            };
            Ok(VolumeAnchor {
                volume_id: row.parse(&volume_id)?,
                volume_snapshot_id: row.parse(&volume_snapshot_id)?,
                snapshot_id: row.parse(&snapshot_id)?,
            })
        })
        .collect()
}
