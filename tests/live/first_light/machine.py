"""The VM of the story, and a portrait of all that a restore has to bring back."""
import tenant  # noqa: F401  (puts the lab's guest.py on the path)
from guest import agent_answers, domain_of, until

CIDR, FIXED_IP = "10.88.0.0/24", "10.88.0.23"
FLAVOR, IMAGE, VOLUME_TYPE = "lab.tiny", "lab-guest", "ceph"


def make_network(cloud):
    """A private network without a router, and a security group of the VM's own."""
    neutron = cloud.network
    network = neutron.create_network(name="first-light")
    neutron.create_subnet(name="first-light", network_id=network.id, ip_version=4, cidr=CIDR, gateway_ip=None)
    group = neutron.create_security_group(name="first-light", description="of the first-light VM")
    for protocol, port in (("tcp", 22), ("tcp", 443), ("icmp", None)):
        neutron.create_security_group_rule(security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol=protocol,
                                           port_range_min=port, port_range_max=port, remote_ip_prefix=CIDR)
    return network, group


def make_volumes(cloud):
    cinder = cloud.block_storage
    boot = cinder.create_volume(name="first-light-boot", size=1, volume_type=VOLUME_TYPE, metadata={"part": "boot", "owner": "first light"},
                                image_id=cloud.image.find_image(IMAGE, ignore_missing=False).id)
    data = cinder.create_volume(name="first-light-data", size=1, volume_type=VOLUME_TYPE, metadata={"part": "data", "retention": "7 years"})
    for volume in (boot, data):
        cinder.wait_for_status(volume, "available", failures=["error"], interval=0.5, wait=180)
    return boot, data


def make_server(cloud, network, group, boot, data):
    """A server on both volumes. Its port is Nova's, so it is lost with the server."""
    nova = cloud.compute
    nova.create_keypair(name="first-light")
    disks = [{"boot_index": index, "uuid": volume.id, "source_type": "volume", "destination_type": "volume", "delete_on_termination": False}
             for index, volume in ((0, boot), (-1, data))]
    server = nova.create_server(
        name="first-light", flavor_id=nova.find_flavor(FLAVOR, ignore_missing=False).id, key_name="first-light",
        metadata={"purpose": "first light", "tier": "gold"}, security_groups=[{"name": group.name}],
        networks=[{"uuid": network.id, "fixed_ip": FIXED_IP}], block_device_mapping=disks)
    return nova.wait_for_server(server, wait=300)


def wait_for_guest(cloud, server):
    """The guest has booted and its agent answers; returns the libvirt domain."""
    until("the guest's console", 240, lambda: "lab-guest: ready" in (cloud.compute.get_server_console_output(server.id)["output"] or ""))
    domain = domain_of(server.id)
    until("the guest's agent", 60, lambda: agent_answers(domain))
    return domain


def volumes_of(cloud, server):
    """{"vda": volume, ...}"""
    return {a.device.removeprefix("/dev/"): cloud.block_storage.get_volume(a.volume_id)
            for a in cloud.compute.volume_attachments(server.id)}


def portrait(cloud, server):
    """Claims about a server by name, in values that can be compared before and after."""
    neutron = cloud.network
    server = cloud.compute.get_server(server.id)
    ports = sorted(neutron.ports(device_id=server.id), key=lambda p: p.mac_address)
    groups = sorted({g for p in ports for g in p.security_group_ids})
    rules = sorted(str((r.direction, r.ether_type, r.protocol, r.port_range_min, r.port_range_max, r.remote_ip_prefix))
                   for g in groups for r in neutron.security_group_rules(security_group_id=g))
    disks = volumes_of(cloud, server)
    return {
        "name": server.name,
        "flavor": server.flavor["original_name"],
        "key pair": server.key_name,
        "metadata of the server": dict(server.metadata),
        "networks": [p.network_id for p in ports],
        "fixed IPs": [[(i["ip_address"], i["subnet_id"]) for i in p.fixed_ips] for p in ports],
        "MACs": [p.mac_address for p in ports],
        "security groups": [sorted(p.security_group_ids) for p in ports],
        "security group rules": rules,
        "disks, sizes, types": {d: (v.size, v.volume_type, v.is_bootable) for d, v in sorted(disks.items())},
        "metadata of the volumes": {d: dict(v.metadata) for d, v in sorted(disks.items())},
    }
