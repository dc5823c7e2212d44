"""The disks of a server as libvirt has them."""
import subprocess
import xml.etree.ElementTree as xml

import storage
import tenant  # noqa: F401  (puts the lab's guest.py on the path)
from guest import VIRSH, domain_of, sh


def of_server(server_id):
    """{"vda": (format, what qemu-img opens)}, config drives and CD-ROMs left out."""
    definition = xml.fromstring(sh(*VIRSH, "dumpxml", domain_of(server_id)))
    return {disk.find("target").get("dev"): (disk.find("driver").get("type"), qemu_name(disk.find("source")))
            for disk in definition.iterfind("devices/disk[@device='disk']")}


def qemu_name(source):
    if source.get("protocol") == "rbd":
        return f"rbd:{source.get('name')}:id={storage.CLIENT}:conf={storage.CONF}"
    return source.get("file")


def equals(image, disk):
    """Does the chain of this image hold the very bytes of a disk that nobody writes to, though its guest may run?
    Returns (yes, what qemu-img said)."""
    run = subprocess.run(["qemu-img", "compare", "-U", "-f", "qcow2", "-F", disk[0], str(image), disk[1]], capture_output=True, text=True)
    return run.returncode == 0, (run.stdout + run.stderr).strip()
