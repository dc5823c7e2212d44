//! A member server, as a record for the snapshot.

use services_openstack::CloudError;
use services_openstack::ports::{Port, Server, Volume, VolumeAttachment};
use services_types::{DiskRecord, NicRecord, ServerId, ServerRecord, VolumeRecord};

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
    if let Some(image_id) = &server.image_id {
        return Err(StepFailure::new(format!(
            "Server {id} was booted from image {image_id}: its root disk is no Cinder volume and cannot be protected yet"
        )));
    }
    let mut metadata = server.metadata.clone();
    for key in OWN_METADATA {
        metadata.remove(key);
    }
    Ok(ServerRecord {
        nics: nics(cx, id).await?,
        disks: disks(cx, id).await?,
        // One made of an image was refused above.
        image: None,
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

async fn disks(cx: &FlowContext, id: &ServerId) -> Result<Vec<DiskRecord>, StepFailure> {
    let attached = cx.tenant().await?.compute().volume_attachments(id).await?;
    let mut disks = Vec::with_capacity(attached.len());
    for attachment in attached {
        let fetched = cx
            .tenant()
            .await?
            .block_storage()
            .volume_fetch(&attachment.volume_id)
            .await;
        let volume = fetched.map_err(|error| volume_failure(id, &attachment, error))?;
        disks.push(disk(volume, attachment)?);
    }
    disks.sort_by(|a, b| {
        a.device
            .len()
            .cmp(&b.device.len())
            .then_with(|| a.device.cmp(&b.device))
    });
    // Nova lists a volume-booted server's root like any other: it is the first device.
    match disks.first_mut() {
        Some(first) => first.is_boot = true,
        None => {
            return Err(StepFailure::new(format!(
                "Server {id} has no volume that could be protected"
            )));
        }
    }
    Ok(disks)
}

fn volume_failure(id: &ServerId, attachment: &VolumeAttachment, error: CloudError) -> StepFailure {
    if error.is_not_found() {
        StepFailure::because(
            format!(
                "Volume {} of server {id} no longer exists in Cinder: detach it, then take the snapshot again",
                attachment.volume_id
            ),
            &error,
        )
    } else {
        error.into()
    }
}

fn disk(volume: Volume, attachment: VolumeAttachment) -> Result<DiskRecord, StepFailure> {
    if volume.is_encrypted {
        return Err(StepFailure::new(format!(
            "Unencrypted workload cannot have instance with encrypted Volume {}",
            volume.id
        )));
    }
    Ok(DiskRecord {
        device: attachment.device.trim_start_matches("/dev/").to_owned(),
        is_boot: false,
        is_deleted_on_termination: attachment.is_deleted_on_termination,
        volume: VolumeRecord {
            id: volume.id,
            name: volume.name,
            description: volume.description,
            size_gib: volume.size_gib,
            volume_type: volume.volume_type,
            availability_zone: volume.availability_zone,
            is_bootable: volume.is_bootable,
            is_multiattach: volume.is_multiattach,
            is_encrypted: volume.is_encrypted,
            metadata: volume.metadata,
            image_metadata: volume.image_metadata,
            attachment_id: attachment.attachment_id,
        },
    })
}
