"""What Nova does to a server between two backups. Each returns when another QEMU runs the guest and its agent answers."""
import os
import signal
from pathlib import Path

import tenant  # noqa: F401  (puts the lab's guest.py on the path)
from guest import VIRSH, domain_of, sh, until
from machine import wait_for_guest

PID_FILES = Path("/run/libvirt/qemu")


def hard_reboot_of_hanging(cloud, server):
    """The domain is destroyed, undefined and defined anew; its files stay. Its QEMU does not end when libvirt asks for
    that, and is killed: what it did not write to the files, bitmaps among it, is lost."""
    pid = int((PID_FILES / f"{domain_of(server.id)}.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    return _to_another_qemu(cloud, server, lambda: _act(cloud, server, {"reboot": {"type": "HARD"}}))


def rebuild(cloud, server, image):
    """All disks that Nova keeps are made anew; the volumes are detached and attached again."""
    return _to_another_qemu(cloud, server, lambda: _act(cloud, server, {"rebuild": {"imageRef": image.id}}))


def resize(cloud, server, flavor):
    """On the same host, as the lab has no other: Nova moves the disks aside, makes them anew from those, and drops these when the resize is confirmed."""
    def resize_and_confirm():
        _act(cloud, server, {"resize": {"flavorRef": flavor.id}})
        cloud.compute.wait_for_server(server, status="VERIFY_RESIZE", interval=0.5, wait=240)
        _act(cloud, server, {"confirmResize": None})
    return _to_another_qemu(cloud, server, resize_and_confirm)


def _act(cloud, server, body):
    cloud.compute.post(f"/servers/{server.id}/action", json=body).raise_for_status()


def _to_another_qemu(cloud, server, event):
    earlier = _qemu(server)
    event()
    until("another QEMU", 240, lambda: _qemu(server) not in ("-", "", earlier))
    until("Nova to have done", 240, lambda: _is_settled(cloud, server))
    return wait_for_guest(cloud, server)


def _qemu(server):
    """Libvirt numbers those that run; "-" where none does, "" while Nova has undefined the domain."""
    return sh(*VIRSH, "domid", server.id, check=False)


def _is_settled(cloud, server):
    now = cloud.compute.get_server(server.id)
    if now.status == "ERROR":
        raise RuntimeError(f"server {server.id} is in error: {now.fault}")
    return now.status == "ACTIVE" and not now.task_state
