//! Disconnects hosts from volumes, and removes the volumes that were made to be read.

use async_trait::async_trait;
use tracing::warn;

use super::plan_disks::PlanDisks;
use crate::flows::{made_volumes, volume_connections};
use crate::runner::{Step, StepContext, StepFailure};

/// What cannot be let go of is a warning: a complete backup is not thrown away for it.
#[derive(Debug)]
pub(super) struct DisconnectVolumes;

#[async_trait]
impl Step for DisconnectVolumes {
    const NAME: &'static str = "disconnect_volumes";
    /// Warnings for the snapshot.
    type Output = Vec<String>;

    async fn run(&self, cx: &StepContext) -> Result<Vec<String>, StepFailure> {
        let failures = let_go(cx).await?;
        Ok(failures.into_iter().map(|it| it.tenant_message).collect())
    }
}

/// Lets go of everything that this flow may have connected or made to be read; gives what stays, with
/// why. What a host is connected to is not removed: it could not tell its end from a fault.
pub(super) async fn let_go(cx: &StepContext) -> Result<Vec<StepFailure>, StepFailure> {
    let plan = cx.output_of::<PlanDisks>()?;
    let mut left = Vec::new();
    let mut has_copies = false;
    for (disk, volume) in plan.volumes() {
        if !volume.storage.is_connected() {
            continue;
        }
        let (host, id) = (&disk.host, &volume.volume_id);
        has_copies |= volume.storage.is_copied();
        keep(
            &mut left,
            volume_connections::close(cx, host, &disk.disk_id, id).await,
        )?;
    }
    if has_copies && left.is_empty() {
        keep(&mut left, remove_copies(cx).await)?;
    } else if has_copies {
        left.push(StepFailure::new(
            "Volumes that Backstay made to be read (backstay-...) stay in the project",
        ));
    }
    for failure in &left {
        warn!(reason = failure.operator_message, "left as it is");
    }
    Ok(left)
}

async fn remove_copies(cx: &StepContext) -> Result<(), StepFailure> {
    let made = made_volumes::marked(cx).await?;
    made_volumes::remove(cx, made.iter().map(|volume| &volume.id)).await
}

fn keep(left: &mut Vec<StepFailure>, result: Result<(), StepFailure>) -> Result<(), StepFailure> {
    match result {
        Ok(()) => Ok(()),
        Err(failure) if failure.gives_up_flow => Err(failure),
        Err(failure) => {
            left.push(failure);
            Ok(())
        }
    }
}
