//! Marks the rows deleted; with the last of them the workload is let go.

use async_trait::async_trait;

use super::plan_removal::PlanRemoval;
use super::snapshot_id;
use crate::runner::{Step, StepContext, StepFailure};

/// The snapshot is gone for its owner; what stays for the chain is remembered.
#[derive(Debug)]
pub(super) struct Forget;

#[async_trait]
impl Step for Forget {
    const NAME: &'static str = "forget";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let removal = cx.output_of::<PlanRemoval>()?;
        let deleted = snapshot_id(cx)?;
        for files in removal
            .now
            .iter()
            .filter(|files| files.snapshot_id != deleted)
        {
            cx.db()
                .snapshot_forget_images(cx.claim(), files.snapshot_id)
                .await?;
        }
        Ok(cx
            .db()
            .snapshot_deleted(cx.claim(), removal.is_kept_for_chain)
            .await?)
    }
}
