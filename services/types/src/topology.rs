//! What a workload's servers looked like when they were protected: everything a restore needs to
//! make them again, in the field's own terms. Written as JSON beside the images (docs/FORMAT.md),
//! so a field once here keeps its name and meaning; new fields get a default.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AttachmentId, DiskId, FlavorId, ImageId, InvalidId, NetworkId, PortId, RouterId,
    SecurityGroupId, ServerId, SubnetId, VolumeId,
};

/// All servers of a workload and what they hang on. Each thing stands here once; servers name it by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// In the order in which they were added to the workload.
    pub servers: Vec<ServerRecord>,
    /// Networks that a server has a port on.
    pub networks: Vec<NetworkRecord>,
    /// Subnets of those networks.
    pub subnets: Vec<SubnetRecord>,
    /// Routers with an interface on one of those subnets.
    pub routers: Vec<RouterRecord>,
    /// Groups that a port is in, and groups that their rules name.
    pub security_groups: Vec<SecurityGroupRecord>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its id at the time.
    pub id: ServerId,
    /// Display name.
    pub name: String,
    /// Nova's status word at the time, `ACTIVE` or `SHUTOFF` mostly.
    pub status: String,
    /// Where it ran.
    pub availability_zone: Option<String>,
    /// The compute host whose datamover read its disks.
    pub host: String,
    /// The libvirt domain's name, `instance-0000002a`.
    pub instance_name: String,
    /// Server metadata, ours (`workload_id`, `workload_name`) left out.
    pub metadata: BTreeMap<String, String>,
    /// Key pair of the server's owner, by name: Keystone users own key pairs.
    pub key_name: Option<String>,
    /// Whether it was given a config drive.
    pub has_config_drive: bool,
    /// Base64, as Nova keeps it; `None` where the cloud does not show it.
    pub user_data: Option<String>,
    /// What it was made of, if an image.
    pub image: Option<ImageRecord>,
    /// Size, in full: the flavor may be gone when it is needed.
    pub flavor: FlavorRecord,
    /// Ports in the order in which the guest sees them.
    pub nics: Vec<NicRecord>,
    /// Disks, boot disk first, then by device name.
    pub disks: Vec<DiskRecord>,
}

/// A flavor, by value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlavorRecord {
    /// `None` where the cloud's API version shows a server's flavor by value only.
    pub id: Option<FlavorId>,
    /// Display name.
    pub name: String,
    /// Number of virtual CPUs.
    pub vcpus: u32,
    /// Memory.
    pub ram_mib: u32,
    /// Root disk; 0 for volume-booted flavors.
    pub disk_gib: u32,
    /// Ephemeral disk.
    pub ephemeral_gib: u32,
    /// Swap disk.
    pub swap_mib: u32,
    /// Extra specs, as an administrator set them.
    #[serde(default)]
    pub extra_specs: BTreeMap<String, String>,
}

/// The image that a server or a boot volume was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Glance id.
    pub id: ImageId,
    /// Display name; empty when the image was gone already.
    pub name: String,
    /// Its properties that guests and Nova go by (`hw_qemu_guest_agent`, ...).
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// A port of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicRecord {
    /// Its id at the time.
    pub port_id: PortId,
    /// Display name; ports that Nova made have none.
    pub name: String,
    /// Which network it is on.
    pub network_id: NetworkId,
    /// `fa:16:3e:..`
    pub mac_address: String,
    /// In Neutron's order.
    pub fixed_ips: Vec<FixedIp>,
    /// In Neutron's order.
    pub security_group_ids: Vec<SecurityGroupId>,
    /// Anti-spoofing and security groups on or off.
    pub is_port_security_enabled: bool,
    /// Further addresses the port may use.
    #[serde(default)]
    pub allowed_address_pairs: Vec<AddressPair>,
    /// `normal`, `direct`, ...
    pub vnic_type: String,
    /// Public address at the time.
    pub floating_ip: Option<FloatingIpRecord>,
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedIp {
    /// From which subnet.
    pub subnet_id: SubnetId,
    /// IPv4 or IPv6, as Neutron writes it.
    pub ip_address: String,
}

/// An address that a port may use beside its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPair {
    /// Address or CIDR.
    pub ip_address: String,
    /// `None`: the port's own.
    pub mac_address: Option<String>,
}

/// A floating address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatingIpRecord {
    /// The public address.
    pub floating_ip_address: String,
    /// The external network it comes from.
    pub floating_network_id: NetworkId,
    /// Which of the port's addresses it leads to.
    pub fixed_ip_address: String,
}

/// A disk of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskRecord {
    /// Without `/dev/`: `vda`.
    pub device: String,
    /// The server boots from it.
    pub is_boot: bool,
    /// Nova deletes it with the server.
    pub is_deleted_on_termination: bool,
    /// Its owner wants it left out: the backup has no image of it.
    #[serde(default)]
    pub is_excluded: bool,
    /// Who keeps it.
    #[serde(flatten)]
    pub keeper: DiskKeeper,
}

/// Who keeps a disk; in JSON a field `volume` or a field `nova`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskKeeper {
    /// Cinder.
    Volume(VolumeRecord),
    /// Nova itself, on the compute host or in its pool.
    Nova(NovaDiskRecord),
}

impl DiskRecord {
    /// What the disk is called in a backup: its volume's id, or the one that stands for Nova's disk.
    pub fn id(&self) -> Result<DiskId, InvalidId> {
        match &self.keeper {
            DiskKeeper::Volume(volume) => volume.id.as_str().parse(),
            DiskKeeper::Nova(disk) => Ok(disk.id),
        }
    }

    /// The Cinder volume, if it is one.
    pub fn volume(&self) -> Option<&VolumeRecord> {
        match &self.keeper {
            DiskKeeper::Volume(volume) => Some(volume),
            DiskKeeper::Nova(_) => None,
        }
    }

    /// Nova's own disk, if it is one.
    pub fn nova(&self) -> Option<&NovaDiskRecord> {
        match &self.keeper {
            DiskKeeper::Volume(_) => None,
            DiskKeeper::Nova(disk) => Some(disk),
        }
    }
}

/// A disk that Nova made for a server: it lives and dies with the server and has no id of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NovaDiskRecord {
    /// Stands for it in backups; always the same for one role in one server.
    pub id: DiskId,
    /// What it is for.
    #[serde(flatten)]
    pub role: NovaDiskRole,
    /// The size that the guest saw.
    pub size_bytes: u64,
}

/// What a disk of Nova's is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum NovaDiskRole {
    /// Made of the server's image.
    Root,
    /// Empty at first, as large as the flavor says.
    Ephemeral {
        /// Counted from 0.
        number: u32,
    },
    /// Swap space, as large as the flavor says.
    Swap,
}

impl fmt::Display for NovaDiskRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Ephemeral { number } => write!(f, "ephemeral{number}"),
            Self::Swap => f.write_str("swap"),
        }
    }
}

/// A Cinder volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Its id at the time.
    pub id: VolumeId,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// As Cinder counts: whole GiB.
    pub size_gib: u64,
    /// By name; `None` for none.
    pub volume_type: Option<String>,
    /// Storage availability zone.
    pub availability_zone: Option<String>,
    /// Cinder's bootable flag.
    pub is_bootable: bool,
    /// May be attached to several servers.
    pub is_multiattach: bool,
    /// Encrypted by its type.
    pub is_encrypted: bool,
    /// Volume metadata.
    pub metadata: BTreeMap<String, String>,
    /// Image properties that a boot volume carries (`hw_qemu_guest_agent`, ...).
    pub image_metadata: BTreeMap<String, String>,
    /// How the server was attached to it: where the storage says what the volume is called there.
    pub attachment_id: AttachmentId,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// Its id at the time.
    pub id: NetworkId,
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Administrative state.
    pub is_admin_state_up: bool,
    /// Shared with other projects.
    pub is_shared: bool,
    /// Leads outside.
    pub is_external: bool,
    /// `None` where the cloud does not tell.
    pub mtu: Option<u32>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetRecord {
    /// Its id at the time.
    pub id: SubnetId,
    /// Display name.
    pub name: String,
    /// Which network it belongs to.
    pub network_id: NetworkId,
    /// `10.0.0.0/24`
    pub cidr: String,
    /// 4 or 6.
    pub ip_version: u8,
    /// `None` for no gateway.
    pub gateway_ip: Option<String>,
    /// DHCP on or off.
    pub is_dhcp_enabled: bool,
    /// In Neutron's order.
    pub dns_nameservers: Vec<String>,
    /// First and last address of each pool.
    pub allocation_pools: Vec<(String, String)>,
    /// Destination and next hop of each route.
    pub host_routes: Vec<(String, String)>,
}

/// A router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterRecord {
    /// Its id at the time.
    pub id: RouterId,
    /// Display name.
    pub name: String,
    /// Administrative state.
    pub is_admin_state_up: bool,
    /// Where its gateway leads, if it has one.
    pub external_network_id: Option<NetworkId>,
    /// Subnets it has an interface on, among those recorded.
    pub subnet_ids: Vec<SubnetId>,
    /// Destination and next hop of each static route.
    pub routes: Vec<(String, String)>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRecord {
    /// Its id at the time.
    pub id: SecurityGroupId,
    /// Display name; `default` exists in every project.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Keeps track of connections.
    pub is_stateful: bool,
    /// Its rules.
    pub rules: Vec<SecurityGroupRule>,
}

/// One rule of a security group, as Neutron has it; `None` means any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// `ingress` or `egress`.
    pub direction: String,
    /// `IPv4` or `IPv6`.
    pub ethertype: String,
    /// Name or number.
    pub protocol: Option<String>,
    /// First port, or ICMP type.
    pub port_range_min: Option<i32>,
    /// Last port, or ICMP code.
    pub port_range_max: Option<i32>,
    /// CIDR of the other side.
    pub remote_ip_prefix: Option<String>,
    /// Group of the other side.
    pub remote_group_id: Option<SecurityGroupId>,
    /// Free text.
    pub description: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_is_read_as_backups_have_it_since_the_first() {
        let record: DiskRecord = serde_json::from_value(json!({
            "device": "vdb", "is_boot": false, "is_deleted_on_termination": true,
            "volume": {
                "id": "5b0ffd9c-7b1e-4ac0-9d2b-3a0a4a7b9f10", "name": "data", "description": "",
                "size_gib": 1, "volume_type": null, "availability_zone": null,
                "is_bootable": false, "is_multiattach": false, "is_encrypted": false,
                "metadata": {}, "image_metadata": {}, "attachment_id": "a",
            },
        }))
        .unwrap();
        assert!(!record.is_excluded);
        assert_eq!(
            record.id().unwrap().to_string(),
            "5b0ffd9c-7b1e-4ac0-9d2b-3a0a4a7b9f10"
        );
    }

    #[test]
    fn a_disk_of_novas_survives_its_file() {
        let disk = NovaDiskRecord {
            id: DiskId::of_server(
                &uuid::Uuid::from_u128(7),
                NovaDiskRole::Ephemeral { number: 1 },
            ),
            role: NovaDiskRole::Ephemeral { number: 1 },
            size_bytes: 65_537,
        };
        let record = DiskRecord {
            device: "vdc".to_owned(),
            is_boot: false,
            is_deleted_on_termination: true,
            is_excluded: true,
            keeper: DiskKeeper::Nova(disk),
        };
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["nova"]["role"], "ephemeral");
        assert_eq!(json["nova"]["number"], 1);
        assert_eq!(serde_json::from_value::<DiskRecord>(json).unwrap(), record);
    }
}
