"""What Ceph itself says of the volumes, asked as client.backup."""
import hashlib
import json
import os
import subprocess

import tenant  # noqa: F401  (puts the lab's guest.py on the path)
from guest import sh

POOL, CLIENT, CONF = os.environ.get("FIRST_LIGHT_POOL", "volumes"), "backup", "/etc/ceph/ceph.conf"
RBD = ("rbd", "-n", f"client.{CLIENT}", "-c", CONF)
MARK = "first-light-mark"
CLUSTER = 64 << 10


def image_of(volume_id):
    return f"{POOL}/volume-{volume_id}"


def qemu_name(volume_id, snapshot_id):
    """A Cinder snapshot as qemu-img opens it."""
    return f"rbd:{image_of(volume_id)}@snapshot-{snapshot_id}:id={CLIENT}:conf={CONF}"


def mark(volume_id):
    sh(*RBD, "snap", "create", "--no-progress", f"{image_of(volume_id)}@{MARK}")


def unmark(volume_id):
    """Takes our snapshot away, if it is there: Cinder could not delete the volume."""
    snapshots = json.loads(sh(*RBD, "snap", "ls", "--format", "json", image_of(volume_id), check=False) or "[]")
    if any(s["name"] == MARK for s in snapshots):
        sh(*RBD, "snap", "rm", "--no-progress", f"{image_of(volume_id)}@{MARK}")


def changed(volume_id, older, newer):
    """The extents that `rbd diff` names between two snapshots: [(offset, length)]."""
    extents = json.loads(sh(*RBD, "diff", "--format", "json", "--from-snap", older, f"{image_of(volume_id)}@{newer}"))
    return [(e["offset"], e["length"]) for e in extents]


def clusters(extents):
    """The numbers of the 64 KiB clusters that extents touch."""
    return {n for offset, length in extents for n in range(offset // CLUSTER, (offset + length - 1) // CLUSTER + 1)}


def checksum(volume_id):
    """SHA-256 of every byte of a volume that nobody writes to."""
    export = subprocess.Popen([*RBD, "export", "--no-progress", image_of(volume_id), "-"], stdout=subprocess.PIPE)
    digest = hashlib.sha256()
    while chunk := export.stdout.read(4 << 20):
        digest.update(chunk)
    if export.wait():
        raise RuntimeError(f"rbd export of {image_of(volume_id)} failed")
    return digest.hexdigest()
