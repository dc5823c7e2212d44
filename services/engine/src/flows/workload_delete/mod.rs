//! Forgets a workload that has no snapshots: its members are free for another one, nothing of ours
//! stays in the project.

mod forget;
mod release_members;
mod release_volume_snapshots;
mod remove_files;

use services_types::FlowKind;

use crate::FlowContext;
use crate::runner::{Settlement, StepFailure, Steps};

pub(super) fn steps() -> Steps {
    Steps::of(FlowKind::WorkloadDelete)
        .then(release_volume_snapshots::ReleaseVolumeSnapshots)
        .then(release_members::ReleaseMembers)
        .then(remove_files::RemoveFiles)
        .then(forget::Forget)
}

pub(super) async fn settle_failed(
    flow: &FlowContext,
    settlement: &Settlement,
) -> Result<(), StepFailure> {
    let message = format!(
        "Its deletion was not completed, delete it again: {}",
        settlement.tenant_words()
    );
    Ok(flow.db().workload_fail(flow.claim(), &message).await?)
}
