//! Does nothing, and owns the undo of the step after it.

use async_trait::async_trait;
use tracing::warn;

use super::choose_hosts::{ChooseHosts, host_of};
use super::read_backup::ReadBackup;
use crate::runner::{Step, StepContext, StepFailure};
use crate::transfers;

/// Stops the transfers that fill volumes.
#[derive(Debug)]
pub(super) struct UndoFills;

#[async_trait]
impl Step for UndoFills {
    const NAME: &'static str = "undo_fills";
    type Output = ();

    async fn run(&self, _cx: &StepContext) -> Result<(), StepFailure> {
        Ok(())
    }

    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let hosts = cx.output_of::<ChooseHosts>()?;
        for disk in cx.output_of::<ReadBackup>()?.disks {
            let host = host_of(&hosts, &disk.server_id)?;
            let Err(failure) = transfers::cancel(cx, "restore", &host, &disk.disk_id).await else {
                continue;
            };
            if failure.gives_up_flow {
                return Err(failure);
            }
            // The volume's own undo says whether it could be removed all the same.
            warn!(disk_id = %disk.disk_id, reason = failure.operator_message,
                "the filling of a volume could not be stopped");
            cx.leave_behind(format!(
                "host {host} may still be filling the volume that was to stand for {}",
                disk.disk_id
            ));
        }
        Ok(())
    }
}
