//! Makes the snapshot one that cannot be restored any more, before its images change.

use async_trait::async_trait;

use super::snapshot_id;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// Moves the manifest aside; what cannot be read of it is moved all the same.
#[derive(Debug)]
pub(super) struct WithdrawManifest;

#[async_trait]
impl Step for WithdrawManifest {
    const NAME: &'static str = "withdraw_manifest";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let workload_id = cx.claim().request.workload_id();
        target_files::withdraw_manifest(cx, workload_id, snapshot_id(cx)?).await
    }
}
