//! Removes the workload's JSON files from the target.

use agent_format::layout::{WorkloadFile, WorkloadFolder};
use async_trait::async_trait;

use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// From every target, since a workload may have had chains on several. Gone already is success.
#[derive(Debug)]
pub(super) struct RemoveFiles;

#[async_trait]
impl Step for RemoveFiles {
    const NAME: &'static str = "remove_files";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let workload_id = cx.claim().request.workload_id();
        let folder = WorkloadFolder {
            workload_id: (*workload_id.as_uuid()).into(),
        };
        for target in cx.services().targets.ids() {
            cx.use_target(target);
            for file in WorkloadFile::ALL {
                target_files::remove(cx, folder.file(file)).await?;
            }
        }
        Ok(())
    }
}
