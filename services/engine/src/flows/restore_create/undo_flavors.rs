//! Does nothing, and owns the undo of the step after it.

use async_trait::async_trait;

use services_openstack::gone_is_fine;

use super::create_flavors::flavor_id;
use super::plan_restore::PlanRestore;
use crate::runner::{Step, StepContext, StepFailure};

/// Removes every flavor that this flow made.
#[derive(Debug)]
pub(super) struct UndoFlavors;

#[async_trait]
impl Step for UndoFlavors {
    const NAME: &'static str = "undo_flavors";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        for server in &plan.servers {
            if plan.flavors.get(&server.id).is_some_and(Option::is_none) {
                let id = flavor_id(cx, &server.id)?;
                gone_is_fine(cx.service().await?.compute().flavor_delete(&id).await)?;
            }
        }
        Ok(())
    }
}
