//! Makes the ports with their old addresses.

use std::collections::BTreeMap;

use async_trait::async_trait;
use services_openstack::ports::{NewPort, Port};
use services_openstack::{CloudError, CloudErrorKind, gone_is_fine};
use services_types::{NicRecord, PortId, SecurityGroupId};

use super::create_security_groups::CreateSecurityGroups;
use super::mark;
use super::plan_restore::PlanRestore;
use crate::FlowContext;
use crate::runner::{Step, StepContext, StepFailure};

/// For each original port, the one that stands for it.
#[derive(Debug)]
pub(super) struct CreatePorts;

#[async_trait]
impl Step for CreatePorts {
    const NAME: &'static str = "create_ports";
    type Output = BTreeMap<PortId, PortId>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let groups = cx.output_of::<CreateSecurityGroups>()?;
        let made: BTreeMap<_, _> = made_by_flow(cx)
            .await?
            .into_iter()
            .map(|port| (port.mac_address, port.id))
            .collect();
        let mut ports = BTreeMap::new();
        for nic in plan.servers.iter().flat_map(|server| &server.nics) {
            let id = match made.get(&nic.mac_address) {
                Some(id) => id.clone(),
                None => create(cx, &new_port(cx, nic, &groups)?).await?,
            };
            ports.insert(nic.port_id.clone(), id);
        }
        Ok(ports)
    }

    /// By id: the marks may be off already.
    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        remove(cx, cx.output_of::<Self>()?.values()).await
    }
}

/// Removes these ports; gone already is success.
pub(super) async fn remove(
    cx: &FlowContext,
    ids: impl Iterator<Item = &PortId> + Send,
) -> Result<(), StepFailure> {
    for id in ids {
        gone_is_fine(cx.tenant().await?.network().port_delete(id).await)?;
    }
    Ok(())
}

/// Ports that this flow has made.
pub(super) async fn made_by_flow(cx: &FlowContext) -> Result<Vec<Port>, StepFailure> {
    Ok(cx
        .tenant()
        .await?
        .network()
        .ports_with_description(&description(cx))
        .await?)
}

fn description(cx: &FlowContext) -> String {
    format!("being restored by flow {}", mark(cx))
}

fn new_port(
    cx: &StepContext,
    nic: &NicRecord,
    groups: &BTreeMap<SecurityGroupId, SecurityGroupId>,
) -> Result<NewPort, StepFailure> {
    let security_group_ids = nic
        .security_group_ids
        .iter()
        .map(|id| {
            groups.get(id).cloned().ok_or_else(|| {
                StepFailure::new(format!("The backup has no record of security group {id}"))
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(NewPort {
        project_id: cx.claim().project_id.clone(),
        name: nic.name.clone(),
        description: description(cx),
        network_id: nic.network_id.clone(),
        mac_address: Some(nic.mac_address.clone()),
        fixed_ips: nic.fixed_ips.clone(),
        security_group_ids,
        is_port_security_enabled: nic.is_port_security_enabled,
        allowed_address_pairs: nic.allowed_address_pairs.clone(),
        vnic_type: nic.vnic_type.clone(),
    })
}

async fn create(cx: &StepContext, new: &NewPort) -> Result<PortId, StepFailure> {
    let made = match cx.tenant().await?.network().port_create(new).await {
        // On a network of another project, only administrators choose addresses.
        Err(error) if error.kind() == CloudErrorKind::Forbidden => {
            cx.service().await?.network().port_create(new).await
        }
        other => other,
    };
    made.map(|port| port.id).map_err(|error| taken(new, error))
}

fn taken(new: &NewPort, error: CloudError) -> StepFailure {
    if error.kind() != CloudErrorKind::Conflict {
        return error.into();
    }
    let addresses: Vec<_> = new
        .fixed_ips
        .iter()
        .map(|ip| ip.ip_address.as_str())
        .collect();
    StepFailure::because(
        format!(
            "Address {} ({}) is in use by another port: free it, or restore selectively",
            addresses.join(", "),
            new.mac_address.as_deref().unwrap_or("no MAC address"),
        ),
        &error,
    )
}
