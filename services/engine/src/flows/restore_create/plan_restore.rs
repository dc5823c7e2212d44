//! Learns what the project has now, and decides what to make.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_openstack::if_found;
use services_types::Topology;

use super::plan::{Facts, RestorePlan, decide};
use super::planned_volumes::images_needed;
use super::read_backup::ReadBackup;
use crate::runner::{Step, StepContext, StepFailure};

/// Makes the plan that the later steps follow.
#[derive(Debug)]
pub(super) struct PlanRestore;

#[async_trait]
impl Step for PlanRestore {
    const NAME: &'static str = "plan_restore";
    type Output = RestorePlan;

    async fn run(&self, cx: &StepContext) -> Result<RestorePlan, StepFailure> {
        let backup = cx.output_of::<ReadBackup>()?;
        let facts = facts(cx, &backup.topology).await?;
        decide(&backup, &facts).map_err(|obstacles| StepFailure::new(obstacles.join("\n")))
    }
}

async fn facts(cx: &StepContext, topology: &Topology) -> Result<Facts, StepFailure> {
    let mut facts = Facts {
        flavors: cx.tenant().await?.compute().flavors().await?,
        ..Facts::default()
    };
    for server in &topology.servers {
        let compute = cx.tenant().await?.compute();
        match if_found(compute.server_fetch(&server.id).await)? {
            Some(standing) if standing.status != "SOFT_DELETED" => {
                facts.standing_servers.insert(server.id.clone());
            }
            _ => {}
        }
        if let Some(key) = &server.key_name
            && compute.has_key_pair(key).await?
        {
            facts.key_pairs.insert(key.clone());
        }
    }
    for id in images_needed(&topology.servers) {
        let images = cx.tenant().await?.images();
        if if_found(images.image_fetch(&id).await)?.is_some() {
            facts.images.insert(id);
        }
    }
    networks(cx, topology, &mut facts).await?;
    facts.groups_by_name = groups(cx, topology, &mut facts).await?;
    Ok(facts)
}

async fn networks(
    cx: &StepContext,
    topology: &Topology,
    facts: &mut Facts,
) -> Result<(), StepFailure> {
    for record in &topology.networks {
        let network = cx.tenant().await?.network();
        if if_found(network.network_fetch(&record.id).await)?.is_some() {
            facts.networks.insert(record.id.clone());
            let subnets = network.subnets_of_network(&record.id).await?;
            facts
                .subnets
                .extend(subnets.into_iter().map(|subnet| subnet.id));
        }
    }
    Ok(())
}

async fn groups(
    cx: &StepContext,
    topology: &Topology,
    facts: &mut Facts,
) -> Result<BTreeMap<String, Vec<services_types::SecurityGroupId>>, StepFailure> {
    let project_id = &cx.claim().project_id;
    let mut by_name = BTreeMap::new();
    for record in &topology.security_groups {
        let network = cx.tenant().await?.network();
        if if_found(network.security_group_fetch(&record.id).await)?.is_some() {
            facts.groups_by_id.insert(record.id.clone());
        }
        let named = network
            .security_groups_named(&record.name, project_id)
            .await?;
        let ids = named.into_iter().map(|group| group.id).collect();
        by_name.insert(record.name.clone(), ids);
    }
    Ok(by_name)
}
