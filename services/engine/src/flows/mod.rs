//! What the engine can do: one folder a flow, one file a step.

mod chain;
mod disks;
mod made_volumes;
mod members;
mod restore_create;
mod snapshot_create;
mod snapshot_delete;
mod snapshot_verify;
mod volume_connections;
mod volume_snapshots;
mod workload_delete;
mod workload_lock;

use services_types::FlowKind;

use crate::FlowContext;
use crate::runner::{Settlement, StepFailure, Steps};

pub(crate) fn steps_of(kind: FlowKind) -> Steps {
    match kind {
        FlowKind::SnapshotCreate => snapshot_create::steps(),
        FlowKind::RestoreCreate => restore_create::steps(),
        FlowKind::SnapshotDelete => snapshot_delete::steps(),
        FlowKind::SnapshotVerify => snapshot_verify::steps(),
        FlowKind::WorkloadDelete => workload_delete::steps(),
    }
}

/// Names of the steps of a kind of flow, in order: for tests that make each of them fail.
pub fn step_names(kind: FlowKind) -> Vec<&'static str> {
    steps_of(kind).names()
}

/// Brings the rows of a flow that failed to rest: says why, lets go of the workload.
pub(crate) async fn settle_failed(
    flow: &FlowContext,
    settlement: &Settlement,
) -> Result<(), StepFailure> {
    match flow.claim().request.kind() {
        FlowKind::SnapshotCreate => snapshot_create::settle_failed(flow, settlement).await,
        FlowKind::RestoreCreate => restore_create::settle_failed(flow, settlement).await,
        FlowKind::SnapshotDelete => snapshot_delete::settle_failed(flow, settlement).await,
        FlowKind::SnapshotVerify => snapshot_verify::settle_failed(flow, settlement).await,
        FlowKind::WorkloadDelete => workload_delete::settle_failed(flow, settlement).await,
    }
}
