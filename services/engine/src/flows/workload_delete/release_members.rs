//! Takes our metadata off the members.

use async_trait::async_trait;
use services_openstack::gone_is_fine;

use crate::flows::members::OWN_METADATA;
use crate::runner::{Step, StepContext, StepFailure};

/// A member that is gone is no obstacle.
#[derive(Debug)]
pub(super) struct ReleaseMembers;

#[async_trait]
impl Step for ReleaseMembers {
    const NAME: &'static str = "release_members";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        for member in cx
            .db()
            .workload_members(cx.claim().request.workload_id())
            .await?
        {
            for key in OWN_METADATA {
                let compute = cx.tenant().await?.compute();
                gone_is_fine(compute.server_metadata_remove(&member.server_id, key).await)?;
            }
        }
        Ok(())
    }
}
