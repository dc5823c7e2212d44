//! Looks at the members and writes down all that a restore will need.

use std::collections::BTreeSet;

use async_trait::async_trait;
use services_db::SnapshotVm;
use services_types::{ServerRecord, SnapshotStatus, Topology};

use crate::flows::members;
use crate::runner::{Step, StepContext, StepFailure};

/// Reads servers, flavors, ports, networks, routers, security groups and volumes.
#[derive(Debug)]
pub(super) struct ReadTopology;

#[async_trait]
impl Step for ReadTopology {
    const NAME: &'static str = "read_topology";
    type Output = Topology;

    async fn run(&self, cx: &StepContext) -> Result<Topology, StepFailure> {
        let db = cx.db();
        db.snapshot_set_status(cx.claim(), SnapshotStatus::Executing)
            .await?;
        db.snapshot_set_host(cx.claim(), &cx.settings().name)
            .await?;
        let members = db
            .workload_members(cx.claim().request.workload_id())
            .await?;
        let mut topology = Topology::default();
        for member in &members {
            cx.stop_if_cancelled().await?;
            topology
                .servers
                .push(members::server_record(cx, &member.server_id).await?);
        }
        read_networks(cx, &mut topology).await?;
        read_security_groups(cx, &mut topology).await?;
        db.snapshot_topology_set(cx.claim(), &topology).await?;
        db.snapshot_vms_set(cx.claim(), vms(&topology, SnapshotStatus::Executing))
            .await?;
        Ok(topology)
    }
}

/// The servers in the snapshot, as the database lists them.
pub(super) fn vms(topology: &Topology, status: SnapshotStatus) -> Vec<SnapshotVm> {
    let vm = |server: &ServerRecord| SnapshotVm {
        server_id: server.id.clone(),
        name: server.name.clone(),
        status,
    };
    topology.servers.iter().map(vm).collect()
}

async fn read_networks(cx: &StepContext, topology: &mut Topology) -> Result<(), StepFailure> {
    let wanted: BTreeSet<_> = topology
        .servers
        .iter()
        .flat_map(|server| server.nics.iter().map(|nic| nic.network_id.clone()))
        .collect();
    for id in wanted {
        let network = cx.tenant().await?.network();
        topology.networks.push(network.network_fetch(&id).await?);
        topology
            .subnets
            .extend(network.subnets_of_network(&id).await?);
    }
    let subnet_ids: Vec<_> = topology
        .subnets
        .iter()
        .map(|subnet| subnet.id.clone())
        .collect();
    if !subnet_ids.is_empty() {
        topology.routers = cx
            .tenant()
            .await?
            .network()
            .routers_of_subnets(&subnet_ids)
            .await?;
    }
    Ok(())
}

/// Groups of the ports, and the groups that their rules name, as far as those can be seen.
async fn read_security_groups(
    cx: &StepContext,
    topology: &mut Topology,
) -> Result<(), StepFailure> {
    let mut wanted: BTreeSet<_> = topology
        .servers
        .iter()
        .flat_map(|server| &server.nics)
        .flat_map(|nic| nic.security_group_ids.clone())
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = wanted.pop_first() {
        if !seen.insert(id.clone()) {
            continue;
        }
        match cx.tenant().await?.network().security_group_fetch(&id).await {
            Ok(group) => {
                let named = group
                    .rules
                    .iter()
                    .filter_map(|rule| rule.remote_group_id.clone());
                wanted.extend(named);
                topology.security_groups.push(group);
            }
            // Another project's group, named by a rule: its owner restores it.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
