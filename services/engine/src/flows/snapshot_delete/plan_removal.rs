//! Decides who removes what, once: a repeated step must ask the same datamover for the same merge.

use std::collections::BTreeMap;

use agent_format::ObjectName;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use services_types::SnapshotId;

use super::links::{self, Remains};
use super::snapshot_id;
use crate::context::FlowContext;
use crate::hosts;
use crate::runner::{Step, StepContext, StepFailure};

/// What a deletion has to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Removal {
    /// The snapshot that is deleted.
    pub(super) wanted: SnapshotRemoval,
    /// Those that were deleted earlier and are still there, newest first.
    pub(super) leftovers: Vec<SnapshotRemoval>,
}

/// What is to be done with one snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SnapshotRemoval {
    pub(super) snapshot_id: SnapshotId,
    pub(super) target_id: String,
    /// The datamover for each image.
    pub(super) images: BTreeMap<ObjectName, String>,
}

/// Reads manifests and makes the plan. A snapshot without a manifest has nothing on the target that
/// is a backup; what a deletion or an undo that broke off has left in its folder goes.
#[derive(Debug)]
pub(super) struct PlanRemoval;

#[async_trait]
impl Step for PlanRemoval {
    const NAME: &'static str = "plan_removal";
    type Output = Removal;

    async fn run(&self, cx: &StepContext) -> Result<Removal, StepFailure> {
        let workload_id = cx.claim().request.workload_id();
        let own_target = cx.target_id();
        let wanted = removal(cx, snapshot_id(cx)?).await?;
        let mut leftovers = Vec::new();
        for kept in cx.db().snapshots_kept_for_chain(workload_id).await? {
            cx.use_target_of(kept.target_id.as_deref());
            match removal(cx, kept.id).await {
                Ok(removal) => leftovers.push(removal),
                Err(failure) if failure.gives_up_flow => return Err(failure),
                Err(failure) => super::clear_leftovers::not_now(kept.id, &failure),
            }
        }
        cx.use_target(&own_target);
        leftovers.reverse();
        Ok(Removal { wanted, leftovers })
    }
}

async fn removal(
    cx: &FlowContext,
    snapshot_id: SnapshotId,
) -> Result<SnapshotRemoval, StepFailure> {
    let remains = links::remains(cx, snapshot_id).await?;
    // While nobody can do it, the backup stands.
    let able = match remains.images.is_empty() {
        true => Vec::new(),
        false => hosts::writers(cx).await?,
    };
    let preferred = hosts_of_servers(cx, snapshot_id).await?;
    let mut images = BTreeMap::new();
    for image in &remains.images {
        let server = server_of(&remains, image);
        let first_choice = server
            .and_then(|id| preferred.get(&id))
            .map_or("", String::as_str);
        images.insert(image.clone(), hosts::choose(&able, first_choice)?);
    }
    Ok(SnapshotRemoval {
        snapshot_id,
        target_id: cx.target_id(),
        images,
    })
}

async fn hosts_of_servers(
    cx: &FlowContext,
    snapshot_id: SnapshotId,
) -> Result<BTreeMap<String, String>, StepFailure> {
    let topology = cx.db().snapshot_topology_fetch(snapshot_id).await?;
    let servers = topology.unwrap_or_default().servers.into_iter();
    Ok(servers
        .map(|server| (server.id.to_string(), server.host))
        .collect())
}

fn server_of(remains: &Remains, image: &ObjectName) -> Option<String> {
    let disks = &remains.description.as_ref()?.manifest.disks;
    let disk = disks.iter().find(|disk| disk.image.name == *image)?;
    Some(disk.vm_id.to_string())
}
