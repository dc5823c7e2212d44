//! A member server, as a record for the snapshot.

use services_openstack::ports::{Port, Server};
use services_types::{ImageRecord, NicRecord, ServerId, ServerRecord};

use super::disks;
use crate::context::FlowContext;
use crate::runner::StepFailure;

/// Server metadata that Backstay itself sets on members.
pub(crate) const OWN_METADATA: [&str; 2] = ["workload_id", "workload_name"];
/// Metadata by which everything made by a flow can be found: the flow's id.
pub(crate) const FLOW_MARK: &str = "backstay_flow";
/// Metadata of Cinder snapshots: whose they are.
pub(crate) const WORKLOAD_MARK: &str = "backstay_workload";

/// Reads one member. A server that cannot be protected is an error that says why.
pub(crate) async fn server_record(
    cx: &FlowContext,
    id: &ServerId,
) -> Result<ServerRecord, StepFailure> {
    let server = fetch(cx, id).await?;
    // Host, domain name and user data are shown to administrators only.
    let inside = cx.service().await?.compute().server_fetch(id).await?;
    let host = inside.host.clone().ok_or_else(|| {
        StepFailure::new(format!(
            "Server {id} runs on no host; start it once, or take it out"
        ))
    })?;
    let mut metadata = server.metadata.clone();
    for key in OWN_METADATA {
        metadata.remove(key);
    }
    Ok(ServerRecord {
        nics: nics(cx, id).await?,
        disks: disks::of_server(cx, &server, &host).await?,
        image: image(cx, &server).await?,
        id: server.id,
        name: server.name,
        status: server.status,
        availability_zone: server.availability_zone,
        host,
        instance_name: inside.instance_name.unwrap_or_default(),
        metadata,
        key_name: server.key_name,
        has_config_drive: server.has_config_drive,
        user_data: inside.user_data,
        flavor: server.flavor,
    })
}

async fn fetch(cx: &FlowContext, id: &ServerId) -> Result<Server, StepFailure> {
    match cx.tenant().await?.compute().server_fetch(id).await {
        Ok(server) if matches!(server.status.as_str(), "DELETED" | "SOFT_DELETED") => {
            Err(no_such_server(id))
        }
        Ok(server) if server.status == "BUILD" => Err(StepFailure::new(format!(
            "Server {id} is still being built; take the snapshot when it is there"
        ))),
        Ok(server) => Ok(server),
        Err(error) if error.is_not_found() => Err(no_such_server(id)),
        Err(error) => Err(error.into()),
    }
}

fn no_such_server(id: &ServerId) -> StepFailure {
    StepFailure::new(format!(
        "Unable to find Virtual Machine '{id}' in nova inventory"
    ))
}

async fn nics(cx: &FlowContext, id: &ServerId) -> Result<Vec<NicRecord>, StepFailure> {
    let ports = cx.tenant().await?.network().ports_of_server(id).await?;
    let mut nics = Vec::with_capacity(ports.len());
    for port in ports {
        let floating = cx
            .tenant()
            .await?
            .network()
            .floating_ips_of_port(&port.id)
            .await?;
        nics.push(nic(port, floating.into_iter().next()));
    }
    Ok(nics)
}

fn nic(port: Port, floating_ip: Option<services_types::FloatingIpRecord>) -> NicRecord {
    NicRecord {
        port_id: port.id,
        name: port.name,
        network_id: port.network_id,
        mac_address: port.mac_address,
        fixed_ips: port.fixed_ips,
        security_group_ids: port.security_group_ids,
        is_port_security_enabled: port.is_port_security_enabled,
        allowed_address_pairs: port.allowed_address_pairs,
        vnic_type: port.vnic_type,
        floating_ip,
    }
}

/// What a server was made of, if an image; without name and properties if that is gone.
async fn image(cx: &FlowContext, server: &Server) -> Result<Option<ImageRecord>, StepFailure> {
    let Some(id) = server.image_id.clone() else {
        return Ok(None);
    };
    let (name, properties) = match cx.tenant().await?.images().image_fetch(&id).await {
        Ok(image) => (image.name, image.properties),
        Err(error) if error.is_not_found() => Default::default(),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(ImageRecord {
        id,
        name,
        properties,
    }))
}
