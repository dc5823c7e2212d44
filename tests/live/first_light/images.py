"""The QCOW2 files on the target, judged by qemu-img alone."""
import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import storage
import tenant  # noqa: F401  (puts the lab's guest.py on the path)
from guest import sh

MAGIC = b"QFI\xfb"


def all_images(target):
    """Every QCOW2 file under the target."""
    for path in sorted(Path(target).rglob("*")):
        if path.is_file() and path.stat().st_size > 512:
            with open(path, "rb") as f:
                if f.read(4) == MAGIC:
                    yield path


def of_snapshot(target, workload_id, snapshot_id, server_id):
    """{"vda": image, ...} of one snapshot."""
    folder = Path(target) / f"workload_{workload_id}" / f"snapshot_{snapshot_id}" / f"vm_id_{server_id}"
    return {path.parent.name.rsplit("_", 1)[1]: path for path in all_images(folder)}


def is_clean(image):
    return subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(image)], capture_output=True).returncode == 0


def info(image):
    return json.loads(sh("qemu-img", "info", "--output=json", str(image)))


def equals(image, volume_id, snapshot_id):
    """Does the chain of this image hold the very bytes of a Cinder snapshot? Returns (yes, what qemu-img said)."""
    run = subprocess.run(["qemu-img", "compare", "-f", "qcow2", "-F", "raw", str(image), storage.qemu_name(volume_id, snapshot_id)],
                         capture_output=True, text=True)
    return run.returncode == 0, (run.stdout + run.stderr).strip()


def checksum(image):
    """SHA-256 of every byte that the chain of this image shows."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        raw = os.path.join(folder, "raw")
        sh("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image), raw)
        with open(raw, "rb") as f:
            while chunk := f.read(4 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def own_clusters(image):
    """The clusters that this image holds itself, zero clusters included, and not its backing files."""
    return storage.clusters([(e["start"], e["length"]) for e in json.loads(sh("qemu-img", "map", "--output=json", str(image)))
                             if e["depth"] == 0 and e.get("present", True)])


def stored_bytes(image):
    return os.stat(image).st_size
