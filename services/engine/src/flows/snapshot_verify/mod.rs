//! Reads all that a snapshot needs, and compares it with what was written: its JSON files here, every
//! byte of its images and of those that they build on in the datamovers. What is damaged is noted with
//! the snapshot, and with those whose own images they are; nothing is built on such a chain any more, and
//! retention does not count it. The backup stays: what can be read of it can be restored.

mod check_files;
mod plan_verification;
mod publish;
mod undo_verifies;
mod verify_images;

use services_types::{FlowKind, FlowRequest, SnapshotId};

use super::workload_lock::LockWorkload;
use crate::FlowContext;
use crate::runner::{Settlement, StepFailure, Steps};

pub(super) fn steps() -> Steps {
    Steps::of(FlowKind::SnapshotVerify)
        .then(LockWorkload)
        .then(plan_verification::PlanVerification)
        .then(check_files::CheckFiles)
        .then(undo_verifies::UndoVerifies)
        .then(verify_images::VerifyImages)
        .then(publish::Publish)
}

pub(super) async fn settle_failed(
    flow: &FlowContext,
    settlement: &Settlement,
) -> Result<(), StepFailure> {
    let message = format!("It could not be verified: {}", settlement.tenant_words());
    Ok(flow
        .db()
        .snapshot_verify_fail(flow.claim(), &message)
        .await?)
}

/// The snapshot that this flow verifies.
fn snapshot_id(flow: &FlowContext) -> Result<SnapshotId, StepFailure> {
    match flow.claim().request {
        FlowRequest::SnapshotVerify { snapshot_id, .. } => Ok(snapshot_id),
        _ => Err(StepFailure::new("The flow's request is of another kind")),
    }
}
