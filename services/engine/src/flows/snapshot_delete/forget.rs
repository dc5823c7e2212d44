//! Marks the row deleted; the workload is let go, or kept for the next that retention wants.

use async_trait::async_trait;
use services_types::FlowRequest;

use super::free_images::FreeImages;
use super::snapshot_id;
use crate::retention;
use crate::runner::{Step, StepContext, StepFailure};

/// The snapshot is gone for its owner; what others still need of it is remembered.
#[derive(Debug)]
pub(super) struct Forget;

#[async_trait]
impl Step for Forget {
    const NAME: &'static str = "forget";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let is_kept_for_chain = !cx.output_of::<FreeImages>()?;
        let next = match cx.claim().request {
            FlowRequest::SnapshotDelete {
                is_by_retention: true,
                ..
            } => retention::next(cx, Some(snapshot_id(cx)?)).await,
            _ => None,
        };
        Ok(cx
            .db()
            .snapshot_deleted(cx.claim(), is_kept_for_chain, next)
            .await?)
    }
}
