"""What a backup may not leave behind, asked of libvirt, the host, Ceph and Cinder themselves. Each function gives what it found."""
import json
from pathlib import Path

import daemons
import storage
import tenant  # noqa: F401  (puts the lab's guest.py on the path)
from guest import VIRSH, sh
from places import STATE

POOLS = ("vms", storage.POOL)
DATAMOVER = "backstay-datamover"


def of_guest(server_id):
    """Checkpoints, which keep Nova from deleting the server, and backup jobs, which take the host's room."""
    checkpoints = sh(*VIRSH, "checkpoint-list", "--name", server_id).split()
    job = sh(*VIRSH, "backup-dumpxml", server_id, check=False)
    return checkpoints + ([job] if job else [])


def on_host():
    """The datamover's NBD servers, and what QEMU needed during a point in time."""
    servers = sh("pgrep", "-a", "-x", "-P", str(daemons.pid_of(DATAMOVER)), "qemu-nbd", check=False).splitlines()
    return servers + [str(path) for path in (STATE / "points").iterdir()]


def in_ceph(ids, cinder_snapshots):
    """On the images of these servers and volumes: RBD snapshots that are none of Cinder's, with the clones made of them."""
    known = {f"snapshot-{snapshot}" for snapshot in cinder_snapshots}
    return [f"{image}@{snapshot} {_children(image, snapshot)}"
            for pool in POOLS for image in _images(pool) if any(i in image for i in ids)
            for snapshot in _snapshots(image) if snapshot not in known]


def of_deleted_server(server_id):
    """Its images in Ceph, its files, its guest."""
    images = [image for pool in POOLS for image in _images(pool) if server_id in image]
    files = [str(path) for path in Path(_nova_instances()).glob(f"{server_id}*")]
    guests = sh(*VIRSH, "list", "--all", "--uuid").split()
    return images + files + [guest for guest in guests if guest == server_id]


def _nova_instances():
    """As this compute host's nova.conf has it."""
    with open("/etc/nova/nova.conf") as conf:
        for line in conf:
            key, _, value = line.partition("=")
            if key.strip() == "instances_path":
                return value.strip()
    return "/var/lib/nova/instances"


def _images(pool):
    return [f"{pool}/{image}" for image in sh(*storage.RBD, "ls", pool).split()]


def _snapshots(image):
    return [s["name"] for s in json.loads(sh(*storage.RBD, "snap", "ls", "--format", "json", image))]


def _children(image, snapshot):
    return sh(*storage.RBD, "children", f"{image}@{snapshot}").split()
