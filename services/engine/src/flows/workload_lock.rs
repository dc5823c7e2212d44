//! The first step of every flow: nothing else may work on the workload meanwhile. The lock is let go
//! where the flow's rows come to rest, in the same transaction.

use async_trait::async_trait;

use crate::runner::{Step, StepContext, StepFailure};

/// Locks the workload for this flow; a flow that holds the lock already keeps it.
#[derive(Debug)]
pub(crate) struct LockWorkload;

#[async_trait]
impl Step for LockWorkload {
    const NAME: &'static str = "lock_workload";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        Ok(cx.db().workload_lock(cx.claim()).await?)
    }
}
