//! What a flow is asked to do. A flow's parameters are its request: they never change.

use serde::{Deserialize, Serialize};

use crate::{FlowId, ProjectId, RestoreId, SnapshotId, WorkloadId, contract_words};

contract_words! {
    /// Which list of steps a flow runs.
    FlowKind, "kind of flow" {
        /// Protect a workload once.
        SnapshotCreate = "snapshot_create",
        /// Make servers out of a snapshot.
        RestoreCreate = "restore_create",
        /// Take one snapshot off the target.
        SnapshotDelete = "snapshot_delete",
        /// Read all that a snapshot needs, and compare it with what was written.
        SnapshotVerify = "snapshot_verify",
        /// Forget a workload that has no snapshots.
        WorkloadDelete = "workload_delete",
    }
}

contract_words! {
    /// Where a flow stands.
    FlowStatus, "flow status" {
        /// Not finished; whoever holds its lease runs it.
        Running = "running",
        /// All steps done.
        Done = "done",
        /// A step failed and all before it were undone.
        Unwound = "unwound",
        /// An undo failed: an operator must look, `outcome` names what was left.
        Stuck = "stuck",
    }
}

/// What one flow is to do; stored when it is asked for, read by the engine that claims it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FlowRequest {
    /// Protect a workload once.
    SnapshotCreate {
        /// The row that was written with the request.
        snapshot_id: SnapshotId,
        /// Whose servers.
        workload_id: WorkloadId,
        /// All data, even where an incremental would do.
        is_full: bool,
    },
    /// Make servers out of a snapshot.
    RestoreCreate {
        /// The row that was written with the request.
        restore_id: RestoreId,
        /// What is restored.
        snapshot_id: SnapshotId,
        /// Whose snapshot it is.
        workload_id: WorkloadId,
    },
    /// Take one snapshot off the target.
    SnapshotDelete {
        /// Which.
        snapshot_id: SnapshotId,
        /// Whose snapshot it is.
        workload_id: WorkloadId,
        /// Retention wants it: where more are to go, the next deletion follows this one.
        #[serde(default)]
        is_by_retention: bool,
    },
    /// Read all that a snapshot needs, and compare it with what was written.
    SnapshotVerify {
        /// Which.
        snapshot_id: SnapshotId,
        /// Whose snapshot it is.
        workload_id: WorkloadId,
    },
    /// Forget a workload that has no snapshots.
    WorkloadDelete {
        /// Which.
        workload_id: WorkloadId,
    },
}

impl FlowRequest {
    /// Which list of steps this needs.
    pub fn kind(&self) -> FlowKind {
        match self {
            Self::SnapshotCreate { .. } => FlowKind::SnapshotCreate,
            Self::RestoreCreate { .. } => FlowKind::RestoreCreate,
            Self::SnapshotDelete { .. } => FlowKind::SnapshotDelete,
            Self::SnapshotVerify { .. } => FlowKind::SnapshotVerify,
            Self::WorkloadDelete { .. } => FlowKind::WorkloadDelete,
        }
    }

    /// The workload that is locked while this runs.
    pub fn workload_id(&self) -> WorkloadId {
        match self {
            Self::SnapshotCreate { workload_id, .. }
            | Self::RestoreCreate { workload_id, .. }
            | Self::SnapshotDelete { workload_id, .. }
            | Self::SnapshotVerify { workload_id, .. }
            | Self::WorkloadDelete { workload_id } => *workload_id,
        }
    }
}

/// A claim on a flow: valid while the row still carries this epoch and the lease has not run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowClaim {
    /// Which flow.
    pub flow_id: FlowId,
    /// Raised by every claim; an older one may do nothing more (architecture D10).
    pub epoch: i64,
    /// What it is to do.
    pub request: FlowRequest,
    /// The project it works for.
    pub project_id: ProjectId,
}
