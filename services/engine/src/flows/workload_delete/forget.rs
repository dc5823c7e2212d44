//! Marks the workload deleted and its members free.

use async_trait::async_trait;

use crate::runner::{Step, StepContext, StepFailure};

/// One transaction.
#[derive(Debug)]
pub(super) struct Forget;

#[async_trait]
impl Step for Forget {
    const NAME: &'static str = "forget";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        Ok(cx.db().workload_deleted(cx.claim()).await?)
    }
}
