//! Finds the images that the snapshot is made of, and who reads them, once.

use std::collections::BTreeMap;

use agent_contract::ImageDigests;
use agent_format::ObjectName;
use agent_format::manifest::{DiskEntry, Manifest};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use services_types::SnapshotId;

use super::snapshot_id;
use crate::flows::chain;
use crate::hosts;
use crate::runner::{Step, StepContext, StepFailure};
use crate::target_files;

/// What is looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Every image of the chain.
    pub(super) images: BTreeMap<ObjectName, PlannedImage>,
    /// What is wrong already.
    pub(super) damage: Vec<Damage>,
}

/// One image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PlannedImage {
    /// Whose it is.
    pub(super) snapshot_id: SnapshotId,
    pub(super) host: String,
    pub(super) digests: ImageDigests,
}

/// What is wrong, and with whose part of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Damage {
    pub(super) snapshot_id: SnapshotId,
    pub(super) what: String,
}

/// Reads the manifests; one that cannot be read is damage, a target that does not answer is not.
#[derive(Debug)]
pub(super) struct PlanVerification;

#[async_trait]
impl Step for PlanVerification {
    const NAME: &'static str = "plan_verification";
    type Output = Plan;

    async fn run(&self, cx: &StepContext) -> Result<Plan, StepFailure> {
        let id = snapshot_id(cx)?;
        let workload_id = cx.claim().request.workload_id();
        let read = async {
            let newest = target_files::read_manifest(cx, workload_id, id).await?;
            let older = chain::older_manifests(cx, workload_id, &newest).await?;
            Ok::<_, StepFailure>((newest, older))
        };
        let (newest, older) = match read.await {
            Ok(read) => read,
            Err(failure) if failure.is_missing_object || failure.is_damage => {
                return Ok(Plan {
                    damage: vec![Damage {
                        snapshot_id: id,
                        what: failure.tenant_message,
                    }],
                    ..Plan::default()
                });
            }
            Err(failure) => return Err(failure),
        };
        plan(cx, &newest, &older).await
    }
}

async fn plan(
    cx: &StepContext,
    newest: &Manifest,
    older: &[Manifest],
) -> Result<Plan, StepFailure> {
    let able = hosts::readers(cx).await?;
    let mut plan = Plan::default();
    for disk in &newest.disks {
        for entry in chain::entries(disk, older)? {
            match expect_objects(cx, entry).await {
                Ok(()) => {}
                Err(failure) if failure.is_damage => {
                    let snapshot_id = owner(newest, older, entry);
                    let what = failure.tenant_message;
                    plan.damage.push(Damage { snapshot_id, what });
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            let image = PlannedImage {
                snapshot_id: owner(newest, older, entry),
                host: hosts::choose(&able, "")?,
                digests: chain::digests(entry),
            };
            plan.images.insert(entry.image.name.clone(), image);
        }
    }
    Ok(plan)
}

async fn expect_objects(cx: &StepContext, entry: &DiskEntry) -> Result<(), StepFailure> {
    for object in [&entry.image, &entry.index] {
        target_files::expect_length(cx, &object.name, object.size_bytes).await?;
    }
    Ok(())
}

fn owner(newest: &Manifest, older: &[Manifest], entry: &DiskEntry) -> SnapshotId {
    let has_it = |it: &&Manifest| {
        it.disks
            .iter()
            .any(|disk| disk.image.name == entry.image.name)
    };
    let owner = older.iter().find(has_it).unwrap_or(newest);
    SnapshotId::from_uuid(owner.snapshot_id.0)
}
