//! What a deletion changes in the snapshots that it does not delete: an image was merged into theirs.

use diesel::prelude::*;
use services_types::{FlowClaim, SnapshotId, SnapshotType};

use crate::column::{to_count, to_moment};
use crate::flow::{hold, snapshot_deleted_by};
use crate::schema::snapshots;
use crate::{Datastore, Error};

/// A snapshot as its manifest has it after a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebased {
    /// Which.
    pub id: SnapshotId,
    /// Full once no image of it has a parent any more.
    pub snapshot_type: SnapshotType,
    /// What its images build on now.
    pub backing_snapshot_id: Option<SnapshotId>,
    /// Bytes of it on the target.
    pub size_bytes: u64,
}

impl Datastore {
    /// Writes what a snapshot of the claim's workload has become, by the flow that deletes another.
    pub async fn snapshot_rebase(&self, claim: &FlowClaim, to: Rebased) -> Result<(), Error> {
        let claim = claim.clone();
        self.write(
            "note what a snapshot builds on now",
            move |connection, now| {
                snapshot_deleted_by(&claim)?;
                hold(connection, &claim, now)?;
                let backing = to.backing_snapshot_id.map(|id| id.to_string());
                diesel::update(snapshots::table.find(to.id.to_string()))
                    .filter(snapshots::workload_id.eq(claim.request.workload_id().to_string()))
                    .set((
                        snapshots::snapshot_type.eq(to.snapshot_type.as_str()),
                        snapshots::backing_snapshot_id.eq(backing),
                        snapshots::size.eq(to_count(to.size_bytes)),
                        snapshots::updated_at.eq(to_moment(now)),
                    ))
                    .execute(connection)?;
                Ok(())
            },
        )
        .await
    }
}
