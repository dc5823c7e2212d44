//! Makes the servers on their volumes and ports, and waits until they run.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use services_openstack::gone_is_fine;
use services_openstack::ports::{NewServer, NewServerDisk, Server};
use services_types::{DiskId, FlavorId, PortId, ServerId, ServerRecord};

use super::create_flavors::CreateFlavors;
use super::create_ports::CreatePorts;
use super::create_volumes::{CreateVolumes, NewDisk, new_disk};
use super::mark;
use super::plan_restore::PlanRestore;
use crate::FlowContext;
use crate::flows::members::FLOW_MARK;
use crate::runner::{Step, StepContext, StepFailure};
use crate::wait::{wait_for, wait_in_undo};

/// Metadata of a server that is being restored: which original it stands for.
const ORIGINAL: &str = "backstay_original_server";

/// For each original server, the one that stands for it.
#[derive(Debug)]
pub(super) struct CreateServers;

#[async_trait]
impl Step for CreateServers {
    const NAME: &'static str = "create_servers";
    type Output = BTreeMap<ServerId, ServerId>;

    async fn run(&self, cx: &StepContext) -> Result<Self::Output, StepFailure> {
        let plan = cx.output_of::<PlanRestore>()?;
        let mut made: BTreeMap<_, _> = made_by_flow(cx)
            .await?
            .into_iter()
            .filter_map(|server| {
                Some((
                    server.metadata.get(ORIGINAL)?.parse::<ServerId>().ok()?,
                    server.id,
                ))
            })
            .collect();
        let mut servers = BTreeMap::new();
        let shared = shared_disks(&plan.servers);
        for original in &plan.servers {
            let id = match made.remove(&original.id) {
                Some(id) => id,
                None => {
                    let new = new_server(cx, original)?;
                    cx.tenant().await?.compute().server_create(&new).await?
                }
            };
            // Cinder gives a volume to one server after the other.
            if original
                .disks
                .iter()
                .any(|disk| disk.id().is_ok_and(|it| shared.contains(&it)))
            {
                until_active(cx, &id).await?;
            }
            servers.insert(original.id.clone(), id);
        }
        for id in servers.values() {
            until_active(cx, id).await?;
        }
        Ok(servers)
    }

    /// By id: the marks may be off already.
    async fn undo(&self, cx: &StepContext) -> Result<(), StepFailure> {
        remove(cx, cx.output_of::<Self>()?.values()).await
    }
}

/// Removes these servers and sees them gone; gone already is success.
pub(super) async fn remove(
    cx: &FlowContext,
    ids: impl Iterator<Item = &ServerId> + Send,
) -> Result<(), StepFailure> {
    for id in ids {
        gone_is_fine(cx.tenant().await?.compute().server_delete(id).await)?;
        wait_in_undo(cx, &format!("server {id} to be deleted"), || async move {
            match cx.tenant().await?.compute().server_fetch(id).await {
                Err(error) if error.is_not_found() => Ok(Some(())),
                Err(error) => Err(error.into()),
                Ok(_) => Ok(None),
            }
        })
        .await?;
    }
    Ok(())
}

/// Servers that this flow has made.
pub(super) async fn made_by_flow(cx: &FlowContext) -> Result<Vec<Server>, StepFailure> {
    Ok(cx
        .tenant()
        .await?
        .compute()
        .servers_with_metadata(FLOW_MARK, &mark(cx))
        .await?)
}

/// Takes the marks of a restore off a server.
pub(super) async fn unmark(cx: &FlowContext, id: &ServerId) -> Result<(), StepFailure> {
    let compute = cx.tenant().await?.compute();
    compute.server_metadata_remove(id, ORIGINAL).await?;
    Ok(compute.server_metadata_remove(id, FLOW_MARK).await?)
}

fn new_server(cx: &StepContext, original: &ServerRecord) -> Result<NewServer, StepFailure> {
    let flavors = cx.output_of::<CreateFlavors>()?;
    let ports = cx.output_of::<CreatePorts>()?;
    let volumes = cx.output_of::<CreateVolumes>()?;
    let mut metadata = original.metadata.clone();
    metadata.insert(FLOW_MARK.to_owned(), mark(cx));
    metadata.insert(ORIGINAL.to_owned(), original.id.to_string());
    Ok(NewServer {
        name: original.name.clone(),
        flavor_id: flavor(&flavors, &original.id)?,
        port_ids: original
            .nics
            .iter()
            .map(|nic| port(&ports, &nic.port_id))
            .collect::<Result<_, _>>()?,
        disks: disks(original, &volumes)?,
        key_name: original.key_name.clone(),
        metadata,
        availability_zone: original.availability_zone.clone(),
        user_data: original.user_data.clone(),
        has_config_drive: original.has_config_drive,
    })
}

fn flavor(flavors: &BTreeMap<ServerId, FlavorId>, id: &ServerId) -> Result<FlavorId, StepFailure> {
    let missing = || StepFailure::new(format!("No flavor was found for server {id}"));
    flavors.get(id).cloned().ok_or_else(missing)
}

fn port(ports: &BTreeMap<PortId, PortId>, id: &PortId) -> Result<PortId, StepFailure> {
    let missing = || StepFailure::new(format!("No new port stands for port {id}"));
    ports.get(id).cloned().ok_or_else(missing)
}

fn disks(
    original: &ServerRecord,
    volumes: &BTreeMap<DiskId, NewDisk>,
) -> Result<Vec<NewServerDisk>, StepFailure> {
    original
        .disks
        .iter()
        .map(|disk| {
            let bad = |e| StepFailure::because("The backup has a disk with a bad id", &e);
            let new = new_disk(volumes, &disk.id().map_err(bad)?)?;
            Ok(NewServerDisk {
                volume_id: new.volume_id.clone(),
                device: disk.device.clone(),
                boot_index: if disk.is_boot { 0 } else { -1 },
                is_deleted_on_termination: disk.is_deleted_on_termination,
            })
        })
        .collect()
}

/// Disks that several of the servers have.
fn shared_disks(servers: &[ServerRecord]) -> BTreeSet<DiskId> {
    let mut seen = BTreeSet::new();
    let all = servers.iter().flat_map(|server| &server.disks);
    let ids = all.filter_map(|disk| disk.id().ok());
    ids.filter(|id| !seen.insert(*id)).collect()
}

async fn until_active(cx: &StepContext, id: &ServerId) -> Result<(), StepFailure> {
    wait_for(
        cx,
        &format!("server {id} to become ACTIVE"),
        || async move {
            let server = cx.tenant().await?.compute().server_fetch(id).await?;
            match server.status.as_str() {
                "ACTIVE" => Ok(Some(())),
                "ERROR" => Err(StepFailure::new(format!(
                    "Nova could not build server {}: {}",
                    server.name,
                    server.fault.as_deref().unwrap_or("it does not say why")
                ))),
                _ => Ok(None),
            }
        },
    )
    .await
}
