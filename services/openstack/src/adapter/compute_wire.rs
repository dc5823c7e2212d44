//! What Nova 2.90 answers with.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use services_types::{
    AttachmentId, FlavorId, FlavorRecord, ImageId, ProjectId, ServerId, UserId, VolumeId,
};

use crate::ports::{NewServer, NewServerDisk, Server, VolumeAttachment};

#[derive(Deserialize)]
pub(super) struct ServerBody {
    id: ServerId,
    name: String,
    status: String,
    fault: Option<Fault>,
    tenant_id: ProjectId,
    user_id: UserId,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    availability_zone: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:host")]
    host: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:instance_name")]
    instance_name: Option<String>,
    #[serde(rename = "OS-EXT-SRV-ATTR:user_data")]
    user_data: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    key_name: Option<String>,
    // "True" or nothing.
    #[serde(default)]
    config_drive: String,
    // An object, or "" for a server that boots from a volume.
    image: Value,
    flavor: ServerFlavor,
}

#[derive(Deserialize)]
struct Fault {
    message: String,
}

#[derive(Deserialize)]
struct ServerFlavor {
    original_name: String,
    vcpus: u32,
    ram: u32,
    disk: u32,
    ephemeral: u32,
    swap: u32,
    #[serde(default)]
    extra_specs: BTreeMap<String, String>,
}

impl From<ServerBody> for Server {
    fn from(body: ServerBody) -> Self {
        let not_empty = |text: Option<String>| text.filter(|t| !t.is_empty());
        let image_id = body.image.get("id").and_then(Value::as_str);
        Self {
            id: body.id,
            name: body.name,
            status: body.status,
            fault: body.fault.map(|fault| fault.message),
            project_id: body.tenant_id,
            user_id: body.user_id,
            availability_zone: not_empty(body.availability_zone),
            host: not_empty(body.host),
            instance_name: not_empty(body.instance_name),
            metadata: body.metadata,
            key_name: body.key_name,
            has_config_drive: !body.config_drive.is_empty(),
            user_data: body.user_data,
            image_id: image_id.and_then(|id| id.parse::<ImageId>().ok()),
            flavor: FlavorRecord {
                id: None,
                name: body.flavor.original_name,
                vcpus: body.flavor.vcpus,
                ram_mib: body.flavor.ram,
                disk_gib: body.flavor.disk,
                ephemeral_gib: body.flavor.ephemeral,
                swap_mib: body.flavor.swap,
                extra_specs: body.flavor.extra_specs,
            },
        }
    }
}

#[derive(Deserialize)]
pub(super) struct VolumeAttachmentBody {
    #[serde(rename = "volumeId")]
    volume_id: VolumeId,
    // Nova has none between asking the hypervisor for a name and being told.
    device: Option<String>,
    delete_on_termination: bool,
    attachment_id: AttachmentId,
}

impl From<VolumeAttachmentBody> for VolumeAttachment {
    fn from(body: VolumeAttachmentBody) -> Self {
        Self {
            volume_id: body.volume_id,
            device: body.device.unwrap_or_default(),
            is_deleted_on_termination: body.delete_on_termination,
            attachment_id: body.attachment_id,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct FlavorBody {
    pub(super) id: FlavorId,
    name: String,
    vcpus: u32,
    ram: u32,
    disk: u32,
    #[serde(rename = "OS-FLV-EXT-DATA:ephemeral")]
    ephemeral: u32,
    swap: u32,
    #[serde(default)]
    extra_specs: BTreeMap<String, String>,
}

impl From<FlavorBody> for FlavorRecord {
    fn from(body: FlavorBody) -> Self {
        Self {
            id: Some(body.id),
            name: body.name,
            vcpus: body.vcpus,
            ram_mib: body.ram,
            disk_gib: body.disk,
            ephemeral_gib: body.ephemeral,
            swap_mib: body.swap,
            extra_specs: body.extra_specs,
        }
    }
}

pub(super) fn new_flavor_body(flavor: &FlavorRecord) -> Value {
    json!({ "flavor": {
        // Nova makes one up; the `auto` of its clients is never sent.
        "id": null,
        "name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
        "swap": flavor.swap_mib,
        "os-flavor-access:is_public": false,
    } })
}

pub(super) fn new_server_body(new: &NewServer) -> Value {
    // Left to itself, Nova would plug a server without ports into some network of the project.
    let networks = if new.port_ids.is_empty() {
        json!("none")
    } else {
        new.port_ids
            .iter()
            .map(|id| json!({ "port": id }))
            .collect()
    };
    let mut server = json!({
        "name": new.name,
        "flavorRef": new.flavor_id,
        "networks": networks,
        "block_device_mapping_v2": new.disks.iter().map(new_disk_body).collect::<Vec<_>>(),
        "metadata": new.metadata,
    });
    let optional = [
        ("key_name", new.key_name.as_ref().map(|v| json!(v))),
        (
            "availability_zone",
            new.availability_zone.as_ref().map(|v| json!(v)),
        ),
        ("user_data", new.user_data.as_ref().map(|v| json!(v))),
        (
            "config_drive",
            new.has_config_drive.then_some(Value::Bool(true)),
        ),
    ];
    if let Some(fields) = server.as_object_mut() {
        fields.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?))),
        );
    }
    json!({ "server": server })
}

fn new_disk_body(disk: &NewServerDisk) -> Value {
    json!({
        "uuid": disk.volume_id,
        "source_type": "volume",
        "destination_type": "volume",
        "boot_index": disk.boot_index,
        "device_name": format!("/dev/{}", disk.device),
        "delete_on_termination": disk.is_deleted_on_termination,
    })
}
