//! Ends the restore: the workload's members are the new servers now. One transaction.

use async_trait::async_trait;
use services_db::{RestoreOutcome, RestoredServer};

use super::create_servers::CreateServers;
use super::fill_volumes::FillVolumes;
use super::plan_restore::PlanRestore;
use super::read_backup::ReadBackup;
use super::remove_marks::RemoveMarks;
use super::snapshot_id;
use crate::runner::{Step, StepContext, StepFailure};

/// Publishes the restore with its sizes and warnings.
#[derive(Debug)]
pub(super) struct Publish;

#[async_trait]
impl Step for Publish {
    const NAME: &'static str = "publish";
    type Output = ();

    async fn run(&self, cx: &StepContext) -> Result<(), StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let servers = cx.output_of::<CreateServers>()?;
        let mut warnings = plan.warnings.clone();
        warnings.extend(cx.output_of::<RemoveMarks>()?);
        let snapshot = cx.db().snapshot_fetch(snapshot_id(cx)?).await?;
        if let Some(damage) = snapshot.damage {
            warnings.push(format!(
                "The snapshot is damaged in parts that this restore did not need: {damage}"
            ));
        }
        let outcome = RestoreOutcome {
            servers: plan
                .servers
                .iter()
                .filter_map(|original| {
                    Some(RestoredServer {
                        original_id: original.id.clone(),
                        server_id: servers.get(&original.id)?.clone(),
                        name: original.name.clone(),
                    })
                })
                .collect(),
            size_bytes: cx
                .output_of::<ReadBackup>()?
                .disks
                .iter()
                .map(|d| d.size_bytes)
                .sum(),
            uploaded_bytes: cx.output_of::<FillVolumes>()?.values().sum(),
            message: "Restore from snapshot is complete".to_owned(),
            warning: (!warnings.is_empty()).then(|| warnings.join("\n")),
            changes_members: true,
        };
        Ok(cx.db().restore_publish(cx.claim(), outcome).await?)
    }
}
