//! Has the rows of the snapshots that built on this one say what their manifests say.

use agent_format::manifest::{Manifest, SnapshotType as OnTarget};
use async_trait::async_trait;
use services_db::Rebased;
use services_types::{SnapshotId, SnapshotType};

use super::snapshot_id;
use crate::context::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// Size, type, and what they build on.
#[derive(Debug)]
pub(super) struct Rebase;

#[async_trait]
impl Step for Rebase {
    const NAME: &'static str = "rebase";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        rebase(cx, snapshot_id(cx)?).await
    }
}

pub(super) async fn rebase(cx: &FlowContext, gone: SnapshotId) -> Result<(), StepFailure> {
    let workload_id = cx.claim().request.workload_id();
    for row in cx.db().snapshot_children(gone).await? {
        match target_files::read_description(cx, workload_id, row.id).await {
            Ok(description) => {
                let to = rebased(row.id, &description.manifest);
                cx.db().snapshot_rebase(cx.claim(), to).await?;
            }
            // It was to build on this one, and its making failed.
            Err(failure) if failure.is_missing_object || failure.is_damage => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

fn rebased(id: SnapshotId, manifest: &Manifest) -> Rebased {
    Rebased {
        id,
        snapshot_type: match manifest.snapshot_type {
            OnTarget::Full => SnapshotType::Full,
            OnTarget::Incremental => SnapshotType::Incremental,
        },
        backing_snapshot_id: manifest
            .previous_snapshot_id
            .map(|id| SnapshotId::from_uuid(id.0)),
        size_bytes: manifest
            .disks
            .iter()
            .map(|disk| disk.image.size_bytes)
            .sum(),
    }
}
