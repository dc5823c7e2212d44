//! The servers of a snapshot in the contract's shape, out of the topology that was recorded.

use std::collections::BTreeMap;

use serde::Serialize;
use services_db::SnapshotVm;
use services_types::{
    DiskKeeper, DiskRecord, FlavorRecord, NetworkRecord, NicRecord, NovaDiskRole, ServerRecord,
    SnapshotId, SnapshotStatus, SubnetRecord, Topology, VolumeRecord,
};
use utoipa::ToSchema;

const BYTES_PER_GIB: u64 = 1024 * 1024 * 1024;

/// A server as it was.
#[derive(Serialize, ToSchema)]
pub(crate) struct InstanceObject {
    id: String,
    name: String,
    status: &'static str,
    /// `availability_zone`, `key_name`, `config_drive`, and the server's own as JSON in `vm_metadata`.
    metadata: BTreeMap<&'static str, String>,
    flavor: Option<FlavorObject>,
    security_group: Vec<SecurityGroupObject>,
    nics: Vec<NicObject>,
    vdisks: Vec<DiskObject>,
}

/// Its size: MiB of memory and swap, GiB of disks.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlavorObject {
    name: String,
    vcpus: u32,
    ram: u32,
    disk: u32,
    ephemeral: u32,
    swap: u32,
}

/// A security group that one of its ports is in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecurityGroupObject {
    id: String,
    name: String,
    security_group_type: &'static str,
}

/// An address of one of its ports.
#[derive(Serialize, ToSchema)]
pub(crate) struct NicObject {
    mac_address: String,
    ip_address: String,
    network: NetworkObject,
}

/// Where that port is.
#[derive(Serialize, ToSchema)]
pub(crate) struct NetworkObject {
    id: String,
    name: String,
    subnet: Option<SubnetObject>,
}

/// Where that address is from.
#[derive(Serialize, ToSchema)]
pub(crate) struct SubnetObject {
    id: String,
    name: String,
    cidr: String,
    ip_version: u8,
    gateway_ip: Option<String>,
}

/// One of its disks.
#[derive(Serialize, ToSchema)]
pub(crate) struct DiskObject {
    vm_id: String,
    snapshot_id: String,
    /// Left out for a disk of Nova's own.
    #[serde(flatten)]
    volume: Option<VolumeObject>,
    /// `/dev/vda`
    volume_mountpoint: String,
    metadata: BTreeMap<String, String>,
    /// In bytes; 0 for a disk that its owner has left out.
    restore_size: u64,
    label: Option<String>,
    media: &'static str,
    /// What a boot disk was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hw_qemu_guest_agent: Option<String>,
}

/// What only a Cinder volume has.
#[derive(Serialize, ToSchema)]
pub(crate) struct VolumeObject {
    volume_id: String,
    volume_name: String,
    /// In GiB, as Cinder counts.
    volume_size: u64,
    volume_type: Option<String>,
    availability_zone: Option<String>,
}

/// The servers as they were recorded, with the state that their part of the snapshot is in; just
/// names and states before anything was recorded.
pub(super) fn instances(
    snapshot_id: SnapshotId,
    topology: Option<&Topology>,
    vms: &[SnapshotVm],
) -> Vec<InstanceObject> {
    let Some(topology) = topology else {
        return vms.iter().map(InstanceObject::unrecorded).collect();
    };
    let status = |server: &ServerRecord| {
        let vm = vms.iter().find(|vm| vm.server_id == server.id);
        vm.map_or(SnapshotStatus::Creating, |vm| vm.status)
    };
    let servers = topology.servers.iter();
    servers
        .map(|it| InstanceObject::recorded(it, status(it), topology, snapshot_id))
        .collect()
}

impl InstanceObject {
    fn unrecorded(vm: &SnapshotVm) -> Self {
        Self {
            id: vm.server_id.to_string(),
            name: vm.name.clone(),
            status: vm.status.as_str(),
            metadata: BTreeMap::new(),
            flavor: None,
            security_group: Vec::new(),
            nics: Vec::new(),
            vdisks: Vec::new(),
        }
    }

    fn recorded(
        server: &ServerRecord,
        status: SnapshotStatus,
        topology: &Topology,
        snapshot_id: SnapshotId,
    ) -> Self {
        Self {
            id: server.id.to_string(),
            name: server.name.clone(),
            status: status.as_str(),
            metadata: metadata(server),
            flavor: Some(FlavorObject::new(&server.flavor)),
            security_group: security_groups(server, topology),
            nics: server
                .nics
                .iter()
                .flat_map(|nic| NicObject::all_of(nic, topology))
                .collect(),
            vdisks: server
                .disks
                .iter()
                .map(|disk| DiskObject::new(disk, server, snapshot_id))
                .collect(),
        }
    }
}

fn metadata(server: &ServerRecord) -> BTreeMap<&'static str, String> {
    let own = serde_json::Value::from_iter(server.metadata.clone());
    let mut shown = BTreeMap::from([
        ("vm_metadata", own.to_string()),
        (
            "config_drive",
            if server.has_config_drive { "True" } else { "" }.to_owned(),
        ),
    ]);
    shown.extend(
        server
            .availability_zone
            .clone()
            .map(|zone| ("availability_zone", zone)),
    );
    shown.extend(server.key_name.clone().map(|name| ("key_name", name)));
    shown
}

impl FlavorObject {
    fn new(flavor: &FlavorRecord) -> Self {
        Self {
            name: flavor.name.clone(),
            vcpus: flavor.vcpus,
            ram: flavor.ram_mib,
            disk: flavor.disk_gib,
            ephemeral: flavor.ephemeral_gib,
            swap: flavor.swap_mib,
        }
    }
}

fn security_groups(server: &ServerRecord, topology: &Topology) -> Vec<SecurityGroupObject> {
    let in_use = |id| {
        server
            .nics
            .iter()
            .any(|nic| nic.security_group_ids.contains(id))
    };
    let groups = topology
        .security_groups
        .iter()
        .filter(|group| in_use(&group.id));
    groups
        .map(|group| SecurityGroupObject {
            id: group.id.to_string(),
            name: group.name.clone(),
            security_group_type: "neutron",
        })
        .collect()
}

impl NicObject {
    /// The contract has one address a nic: a port with several is shown once for each.
    fn all_of(nic: &NicRecord, topology: &Topology) -> Vec<Self> {
        let network = topology
            .networks
            .iter()
            .find(|network| network.id == nic.network_id);
        let with = |ip_address: &str, subnet: Option<&SubnetRecord>| Self {
            mac_address: nic.mac_address.clone(),
            ip_address: ip_address.to_owned(),
            network: NetworkObject::new(nic, network, subnet),
        };
        if nic.fixed_ips.is_empty() {
            return vec![with("", None)];
        }
        let subnet = |id| topology.subnets.iter().find(|subnet| subnet.id == id);
        nic.fixed_ips
            .iter()
            .map(|ip| with(&ip.ip_address, subnet(ip.subnet_id.clone())))
            .collect()
    }
}

impl NetworkObject {
    fn new(
        nic: &NicRecord,
        network: Option<&NetworkRecord>,
        subnet: Option<&SubnetRecord>,
    ) -> Self {
        Self {
            id: nic.network_id.to_string(),
            name: network
                .map(|network| network.name.clone())
                .unwrap_or_default(),
            subnet: subnet.map(|subnet| SubnetObject {
                id: subnet.id.to_string(),
                name: subnet.name.clone(),
                cidr: subnet.cidr.clone(),
                ip_version: subnet.ip_version,
                gateway_ip: subnet.gateway_ip.clone(),
            }),
        }
    }
}

impl DiskObject {
    fn new(disk: &DiskRecord, server: &ServerRecord, snapshot_id: SnapshotId) -> Self {
        let volume = disk.volume();
        let of_image = |key: &str| match &disk.keeper {
            DiskKeeper::Volume(volume) => volume.image_metadata.get(key).cloned(),
            DiskKeeper::Nova(nova) => of_server_image(server, nova.role, key),
        };
        let size_bytes = match &disk.keeper {
            DiskKeeper::Volume(volume) => volume.size_gib.saturating_mul(BYTES_PER_GIB),
            DiskKeeper::Nova(nova) => nova.size_bytes,
        };
        Self {
            vm_id: server.id.to_string(),
            snapshot_id: snapshot_id.to_string(),
            volume: volume.map(VolumeObject::new),
            volume_mountpoint: format!("/dev/{}", disk.device),
            metadata: volume
                .map(|volume| volume.metadata.clone())
                .unwrap_or_default(),
            restore_size: if disk.is_excluded { 0 } else { size_bytes },
            label: None,
            media: "disk",
            image_id: of_image("image_id"),
            image_name: of_image("image_name"),
            hw_qemu_guest_agent: of_image("hw_qemu_guest_agent"),
        }
    }
}

impl VolumeObject {
    fn new(volume: &VolumeRecord) -> Self {
        Self {
            volume_id: volume.id.to_string(),
            volume_name: volume.name.clone(),
            volume_size: volume.size_gib,
            volume_type: volume.volume_type.clone(),
            availability_zone: volume.availability_zone.clone(),
        }
    }
}

/// What a root disk was made of; no other disk of Nova's is made of an image.
fn of_server_image(server: &ServerRecord, role: NovaDiskRole, key: &str) -> Option<String> {
    let image = server.image.as_ref();
    let image = image.filter(|_| role == NovaDiskRole::Root)?;
    match key {
        "image_id" => Some(image.id.to_string()),
        "image_name" => Some(image.name.clone()),
        _ => image.properties.get(key).cloned(),
    }
}
