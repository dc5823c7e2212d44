//! Ends the points in time, and keeps their marks: the next backup tells its changes from them.

use async_trait::async_trait;
use tracing::warn;

use super::take_points::end_all;
use crate::runner::{Step, StepContext, StepFailure};

/// Before superseded Cinder snapshots are removed, which libvirt refuses for volumes on shares while a
/// point is open. One that cannot be ended is a warning: a complete backup is not thrown away for it.
/// Should the flow still fail, the earlier backup's marks are gone, and the next backup compares by hash.
#[derive(Debug)]
pub(super) struct EndPoints;

#[async_trait]
impl Step for EndPoints {
    const NAME: &'static str = "end_points";
    /// Warnings for the snapshot.
    type Output = Vec<String>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<String>, StepFailure> {
        let mut warnings = Vec::new();
        for (server_id, failure) in end_all(cx, true).await? {
            warn!(%server_id, reason = failure.operator_message, "a point in time stays");
            warnings.push(failure.tenant_message);
        }
        Ok(warnings)
    }
}
