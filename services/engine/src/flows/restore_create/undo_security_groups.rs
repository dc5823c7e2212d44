//! Does nothing, and owns the undo of the step after it.

use async_trait::async_trait;

use services_openstack::gone_is_fine;

use super::create_security_groups::made_by_flow;
use super::plan_restore::PlanRestore;
use crate::runner::{Step, StepContext, StepFailure};

/// Removes every security group that this flow made.
#[derive(Debug)]
pub(super) struct UndoSecurityGroups;

#[async_trait]
impl Step for UndoSecurityGroups {
    const NAME: &'static str = "undo_security_groups";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let made = made_by_flow(cx, &plan).await?;
        for id in made.into_values() {
            gone_is_fine(
                cx.tenant()
                    .await?
                    .network()
                    .security_group_delete(&id)
                    .await,
            )?;
        }
        Ok(())
    }
}
