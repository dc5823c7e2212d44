//! What a restore is going to make: decided from the backup and from what the project has now.
//! Pure, so that it can be shown before it is done.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use services_types::{
    DiskRecord, FlavorId, FlavorRecord, ImageId, NetworkId, NovaDiskRole, SecurityGroupId,
    SecurityGroupRecord, ServerId, ServerRecord, SubnetId, Topology,
};

use super::backup::Backup;
use super::planned_volumes::{self, PlannedVolume};

/// What the project has now, as far as it matters.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Originals that still exist.
    pub(super) standing_servers: BTreeSet<ServerId>,
    /// All flavors that can be used.
    pub(super) flavors: Vec<FlavorRecord>,
    /// Of the backup's networks, those that exist.
    pub(super) networks: BTreeSet<NetworkId>,
    /// Of the backup's subnets, those that exist.
    pub(super) subnets: BTreeSet<SubnetId>,
    /// Of the backup's security groups, those that exist under their old id.
    pub(super) groups_by_id: BTreeSet<SecurityGroupId>,
    /// Groups that have a name of the backup's.
    pub(super) groups_by_name: BTreeMap<String, Vec<SecurityGroupId>>,
    /// Of the backup's key pairs, those that the owner still has.
    pub(super) key_pairs: BTreeSet<String>,
    /// Of the images that disks must be made of again, those that exist.
    pub(super) images: BTreeSet<ImageId>,
}

/// What will be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RestorePlan {
    /// As they were, with the flavors that they need now.
    pub(super) servers: Vec<ServerRecord>,
    /// A volume attached to two of them stands here once.
    pub(super) volumes: Vec<PlannedVolume>,
    /// For each original group: the one that stands for it, or nothing if it must be made.
    pub(super) groups: BTreeMap<SecurityGroupId, Option<SecurityGroupId>>,
    /// Groups to be made.
    pub(super) new_groups: Vec<SecurityGroupRecord>,
    /// For each server: its flavor, or nothing if it must be made.
    pub(super) flavors: BTreeMap<ServerId, Option<FlavorId>>,
    /// What the owner should know.
    pub(super) warnings: Vec<String>,
}

/// Decides; what stands in the way is said all at once.
pub(super) fn decide(backup: &Backup, facts: &Facts) -> Result<RestorePlan, Vec<String>> {
    let topology = &backup.topology;
    let mut obstacles = obstacles(topology, facts);
    let mut servers = topology.servers.clone();
    let volumes = planned_volumes::planned(&servers, &backup.disks, &facts.images);
    let volumes = volumes.unwrap_or_else(|found| {
        obstacles.extend(found);
        Vec::new()
    });
    let mut warnings = planned_volumes::warnings(&servers);
    for server in &mut servers {
        leave_disks_to_volumes(server);
        if let Some(key) = server
            .key_name
            .take_if(|key| !facts.key_pairs.contains(key))
        {
            warnings.push(format!(
                "Key pair {key} is gone: server {} is restored without it (its disk still has the key)",
                server.name
            ));
        }
    }
    let mut groups = BTreeMap::new();
    let mut new_groups = Vec::new();
    for group in &topology.security_groups {
        let found = group_for(group, facts);
        if found.is_none() {
            if group.name == "default" {
                obstacles.push("The project has no security group `default`".to_owned());
            }
            new_groups.push(group.clone());
        }
        groups.insert(group.id.clone(), found);
    }
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let flavors = servers
        .iter()
        .map(|server| {
            (
                server.id.clone(),
                flavor_for(&server.flavor, &facts.flavors),
            )
        })
        .collect();
    Ok(RestorePlan {
        servers,
        volumes,
        groups,
        new_groups,
        flavors,
        warnings,
    })
}

fn obstacles(topology: &Topology, facts: &Facts) -> Vec<String> {
    let mut obstacles = Vec::new();
    for server in &topology.servers {
        if facts.standing_servers.contains(&server.id) {
            obstacles.push(format!(
                "Server {} ({}) still exists: delete it first, or restore selectively",
                server.name, server.id
            ));
        }
    }
    for network in topology
        .networks
        .iter()
        .filter(|net| !facts.networks.contains(&net.id))
    {
        obstacles.push(format!(
            "Network {} ({}) no longer exists: restore selectively onto another",
            network.name, network.id
        ));
    }
    for subnet in &topology.subnets {
        let is_used = topology
            .servers
            .iter()
            .flat_map(|server| &server.nics)
            .flat_map(|nic| &nic.fixed_ips)
            .any(|ip| ip.subnet_id == subnet.id);
        let network_stands = facts.networks.contains(&subnet.network_id);
        if is_used && network_stands && !facts.subnets.contains(&subnet.id) {
            obstacles.push(format!(
                "Subnet {} ({}) no longer exists: restore selectively onto another",
                subnet.cidr, subnet.id
            ));
        }
    }
    obstacles
}

/// What the flavor gave beside the root disk is restored as volumes: a flavor that gave it again would
/// add empty disks, before them in the guest's order.
fn leave_disks_to_volumes(server: &mut ServerRecord) {
    let beside = |disk: &&DiskRecord| {
        disk.nova()
            .is_some_and(|nova| nova.role != NovaDiskRole::Root)
    };
    if server.disks.iter().any(|disk| beside(&disk)) {
        server.flavor.ephemeral_gib = 0;
        server.flavor.swap_mib = 0;
    }
}

/// The same group if it stands, else the only one of its name.
fn group_for(group: &SecurityGroupRecord, facts: &Facts) -> Option<SecurityGroupId> {
    if facts.groups_by_id.contains(&group.id) {
        return Some(group.id.clone());
    }
    match facts.groups_by_name.get(&group.name).map(Vec::as_slice) {
        Some([only]) => Some(only.clone()),
        _ => None,
    }
}

/// A flavor of the same size; of several, the one with the same name.
fn flavor_for(wanted: &FlavorRecord, offered: &[FlavorRecord]) -> Option<FlavorId> {
    let same_size = |flavor: &&FlavorRecord| {
        (
            flavor.vcpus,
            flavor.ram_mib,
            flavor.disk_gib,
            flavor.ephemeral_gib,
            flavor.swap_mib,
        ) == (
            wanted.vcpus,
            wanted.ram_mib,
            wanted.disk_gib,
            wanted.ephemeral_gib,
            wanted.swap_mib,
        ) && flavor.extra_specs == wanted.extra_specs
    };
    let fitting: Vec<_> = offered.iter().filter(same_size).collect();
    let best = fitting
        .iter()
        .find(|flavor| flavor.name == wanted.name)
        .or(fitting.first());
    best.and_then(|flavor| flavor.id.clone())
}

#[cfg(test)]
mod tests {
    use services_types::{
        DiskId, DiskKeeper, FixedIp, ImageRecord, NetworkRecord, NicRecord, NovaDiskRecord,
        SubnetRecord,
    };

    use super::super::backup::BackupDisk;
    use super::super::planned_volumes::Content;
    use super::*;

    fn flavor(id: Option<&str>, name: &str, ram_mib: u32) -> FlavorRecord {
        FlavorRecord {
            id: id.map(|id| id.parse().unwrap()),
            name: name.to_owned(),
            vcpus: 1,
            ram_mib,
            disk_gib: 0,
            ephemeral_gib: 0,
            swap_mib: 0,
            extra_specs: BTreeMap::new(),
        }
    }

    fn group(id: &str, name: &str) -> SecurityGroupRecord {
        SecurityGroupRecord {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            description: String::new(),
            is_stateful: true,
            rules: Vec::new(),
        }
    }

    /// One server on one network, in groups `default` and `web`.
    fn backup() -> Backup {
        Backup {
            topology: topology(),
            disks: Vec::new(),
        }
    }

    fn topology() -> Topology {
        let nic = NicRecord {
            port_id: "port".parse().unwrap(),
            name: String::new(),
            network_id: "net".parse().unwrap(),
            mac_address: "fa:16:3e:00:00:01".to_owned(),
            fixed_ips: vec![FixedIp {
                subnet_id: "subnet".parse().unwrap(),
                ip_address: "10.0.0.5".to_owned(),
            }],
            security_group_ids: vec!["g-web".parse().unwrap()],
            is_port_security_enabled: true,
            allowed_address_pairs: Vec::new(),
            vnic_type: "normal".to_owned(),
            floating_ip: None,
        };
        Topology {
            servers: vec![ServerRecord {
                id: "server".parse().unwrap(),
                name: "db1".to_owned(),
                status: "ACTIVE".to_owned(),
                availability_zone: None,
                host: "compute".to_owned(),
                instance_name: String::new(),
                metadata: BTreeMap::new(),
                key_name: Some("key".to_owned()),
                has_config_drive: false,
                user_data: None,
                image: None,
                flavor: flavor(None, "small", 256),
                nics: vec![nic],
                disks: Vec::new(),
            }],
            networks: vec![NetworkRecord {
                id: "net".parse().unwrap(),
                name: "private".to_owned(),
                description: String::new(),
                is_admin_state_up: true,
                is_shared: false,
                is_external: false,
                mtu: None,
            }],
            subnets: vec![SubnetRecord {
                id: "subnet".parse().unwrap(),
                name: "private".to_owned(),
                network_id: "net".parse().unwrap(),
                cidr: "10.0.0.0/24".to_owned(),
                ip_version: 4,
                gateway_ip: None,
                is_dhcp_enabled: true,
                dns_nameservers: Vec::new(),
                allocation_pools: Vec::new(),
                host_routes: Vec::new(),
            }],
            routers: Vec::new(),
            security_groups: vec![group("g-default", "default"), group("g-web", "web")],
        }
    }

    /// Everything that the topology needs is there, but the server is not.
    fn facts() -> Facts {
        Facts {
            standing_servers: BTreeSet::new(),
            flavors: vec![flavor(Some("f"), "small", 256)],
            networks: ["net".parse().unwrap()].into(),
            subnets: ["subnet".parse().unwrap()].into(),
            groups_by_id: ["g-default".parse().unwrap(), "g-web".parse().unwrap()].into(),
            groups_by_name: BTreeMap::new(),
            key_pairs: ["key".to_owned()].into(),
            images: BTreeSet::new(),
        }
    }

    #[test]
    fn what_stands_is_used() {
        let plan = decide(&backup(), &facts()).unwrap();
        assert_eq!(plan.new_groups, []);
        assert_eq!(
            plan.groups[&"g-web".parse().unwrap()],
            Some("g-web".parse().unwrap())
        );
        assert_eq!(
            plan.flavors[&"server".parse().unwrap()],
            Some("f".parse().unwrap())
        );
        assert_eq!(plan.warnings, Vec::<String>::new());
    }

    #[test]
    fn an_original_that_still_exists_stands_in_the_way() {
        let facts = Facts {
            standing_servers: ["server".parse().unwrap()].into(),
            ..facts()
        };
        let obstacles = decide(&backup(), &facts).unwrap_err();
        assert!(
            obstacles[0].contains("Server db1 (server) still exists"),
            "{obstacles:?}"
        );
    }

    #[test]
    fn all_obstacles_are_said_at_once() {
        let facts = Facts {
            standing_servers: ["server".parse().unwrap()].into(),
            networks: BTreeSet::new(),
            ..facts()
        };
        assert_eq!(decide(&backup(), &facts).unwrap_err().len(), 2);
    }

    #[test]
    fn a_subnet_that_is_gone_from_a_network_that_stands_is_an_obstacle() {
        let facts = Facts {
            subnets: BTreeSet::new(),
            ..facts()
        };
        let obstacles = decide(&backup(), &facts).unwrap_err();
        assert!(obstacles[0].contains("Subnet 10.0.0.0/24"), "{obstacles:?}");
    }

    #[test]
    fn a_group_that_is_gone_is_the_only_one_of_its_name_or_made_again() {
        let mut facts = facts();
        facts.groups_by_id.remove(&"g-web".parse().unwrap());
        assert_eq!(
            decide(&backup(), &facts).unwrap().new_groups,
            [group("g-web", "web")]
        );
        facts
            .groups_by_name
            .insert("web".to_owned(), vec!["new".parse().unwrap()]);
        let plan = decide(&backup(), &facts).unwrap();
        assert_eq!(
            plan.groups[&"g-web".parse().unwrap()],
            Some("new".parse().unwrap())
        );
        // Two of that name: neither is known to be the right one.
        let two = vec!["new".parse().unwrap(), "other".parse().unwrap()];
        facts.groups_by_name.insert("web".to_owned(), two);
        assert_eq!(decide(&backup(), &facts).unwrap().new_groups.len(), 1);
    }

    #[test]
    fn a_flavor_of_another_size_is_not_taken_for_its_name() {
        let facts = Facts {
            flavors: vec![flavor(Some("f"), "small", 512)],
            ..facts()
        };
        let plan = decide(&backup(), &facts).unwrap();
        assert_eq!(plan.flavors[&"server".parse().unwrap()], None);
    }

    #[test]
    fn a_key_pair_that_is_gone_is_a_warning() {
        let facts = Facts {
            key_pairs: BTreeSet::new(),
            ..facts()
        };
        let plan = decide(&backup(), &facts).unwrap();
        assert_eq!(plan.servers[0].key_name, None);
        assert!(
            plan.warnings[0].contains("Key pair key is gone"),
            "{:?}",
            plan.warnings
        );
    }

    fn disk(device: &str, role: NovaDiskRole) -> (DiskRecord, BackupDisk) {
        let nova = NovaDiskRecord {
            id: DiskId::of_server(&uuid::Uuid::from_u128(1), role),
            role,
            size_bytes: (1 << 30) + 1,
        };
        let in_backup = BackupDisk {
            server_id: "server".parse().unwrap(),
            disk_id: nova.id,
            size_bytes: nova.size_bytes,
            chain: Vec::new(),
            digests: Vec::new(),
        };
        let record = DiskRecord {
            device: device.to_owned(),
            is_boot: role == NovaDiskRole::Root,
            is_deleted_on_termination: true,
            is_excluded: false,
            keeper: DiskKeeper::Nova(nova),
        };
        (record, in_backup)
    }

    /// The server was made of an image, and has an ephemeral disk.
    fn backup_of_image() -> Backup {
        let mut backup = backup();
        let server = &mut backup.topology.servers[0];
        server.flavor.ephemeral_gib = 1;
        server.image = Some(ImageRecord {
            id: "image".parse().unwrap(),
            name: "debian".to_owned(),
            properties: [("hw_disk_bus".to_owned(), "scsi".to_owned())].into(),
        });
        let ephemeral = NovaDiskRole::Ephemeral { number: 0 };
        for (record, in_backup) in [disk("vda", NovaDiskRole::Root), disk("vdb", ephemeral)] {
            server.disks.push(record);
            backup.disks.push(in_backup);
        }
        backup
    }

    #[test]
    fn disks_that_nova_kept_become_volumes_and_the_flavor_gives_them_no_more() {
        let plan = decide(&backup_of_image(), &facts()).unwrap();
        let told: Vec<_> = plan
            .volumes
            .iter()
            .map(|it| (it.name.as_str(), it.size_gib, it.is_bootable, &it.content))
            .collect();
        let content = &Content::Backup;
        assert_eq!(
            told,
            [
                ("db1-root", 2, true, content),
                ("db1-ephemeral0", 2, false, content)
            ]
        );
        let properties = &plan.volumes[0].image_metadata;
        assert_eq!(properties["hw_disk_bus"], "scsi");
        assert_eq!(properties["image_id"], "image");
        assert_eq!(plan.volumes[1].image_metadata, BTreeMap::new());
        // A flavor without an ephemeral disk is there.
        assert_eq!(plan.servers[0].flavor.ephemeral_gib, 0);
        assert_eq!(
            plan.flavors[&"server".parse().unwrap()],
            Some("f".parse().unwrap())
        );
        assert!(plan.warnings[0].contains("vda (root), vdb (ephemeral0)"));
    }

    #[test]
    fn a_boot_disk_that_was_left_out_is_made_of_its_image_again_or_stands_in_the_way() {
        let mut backup = backup_of_image();
        backup.topology.servers[0].disks[0].is_excluded = true;
        backup.disks.remove(0);
        let obstacles = decide(&backup, &facts()).unwrap_err();
        assert!(obstacles[0].contains("is gone"), "{obstacles:?}");
        let facts = Facts {
            images: ["image".parse().unwrap()].into(),
            ..facts()
        };
        let plan = decide(&backup, &facts).unwrap();
        assert_eq!(
            plan.volumes[0].content,
            Content::Image("image".parse().unwrap())
        );
        backup.topology.servers[0].image = None;
        let obstacles = decide(&backup, &facts).unwrap_err();
        assert!(obstacles[0].contains("of no image"), "{obstacles:?}");
    }

    #[test]
    fn another_disk_that_was_left_out_comes_back_empty() {
        let mut backup = backup_of_image();
        backup.topology.servers[0].disks[1].is_excluded = true;
        backup.disks.remove(1);
        let plan = decide(&backup, &facts()).unwrap();
        assert_eq!(plan.volumes[1].content, Content::Nothing);
        assert_eq!(plan.volumes[1].size_gib, 2);
    }

    #[test]
    fn a_disk_that_is_missing_from_the_backup_stands_in_the_way() {
        let mut backup = backup_of_image();
        backup.disks.clear();
        assert_eq!(decide(&backup, &facts()).unwrap_err().len(), 2);
    }

    #[test]
    fn a_disk_of_two_servers_is_one_volume() {
        let mut backup = backup_of_image();
        let mut other = backup.topology.servers[0].clone();
        other.id = "other".parse().unwrap();
        backup.topology.servers.push(other);
        assert_eq!(decide(&backup, &facts()).unwrap().volumes.len(), 2);
    }
}
