//! Chooses the datamover that fills each server's volumes, once: a repeated step must ask the same one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_types::ServerId;

use super::plan_restore::PlanRestore;
use crate::hosts;
use crate::runner::{Step, StepContext, StepFailure};

/// For each server: the host that served it, if its datamover lives and has the target, else any
/// other that does.
#[derive(Debug)]
pub(super) struct ChooseHosts;

#[async_trait]
impl Step for ChooseHosts {
    const NAME: &'static str = "choose_hosts";
    type Output = BTreeMap<ServerId, String>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let able = hosts::readers(cx).await?;
        let plan = cx.output_of::<PlanRestore>()?;
        let mut chosen = BTreeMap::new();
        for server in &plan.servers {
            let host = hosts::choose(&able, &server.host)?;
            chosen.insert(server.id.clone(), host);
        }
        Ok(chosen)
    }
}

/// The host that was chosen for a server's volumes.
pub(super) fn host_of(
    hosts: &BTreeMap<ServerId, String>,
    server_id: &ServerId,
) -> Result<String, StepFailure> {
    hosts.get(server_id).cloned().ok_or_else(|| {
        StepFailure::new(format!(
            "The backup has a disk of server {server_id}, but no such server"
        ))
    })
}
