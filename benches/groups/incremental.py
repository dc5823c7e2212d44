"""An incremental backup of the disk after a day of use, over the full one of the day before."""

import ours
import workshop as shop
from rows import Limit, Row


def rows(workshop):
    device, unchanged = (shop.flat(workshop.path(disk)) for disk in ("day1.raw", "base.raw"))
    overlay, target = workshop.scratch / "inc.qcow2", workshop.scratch / "inc"
    full, changed = workshop.path("qemu/full.qcow2"), workshop.path("day1.changed")
    # Links to the full one will do, see workshop.py.
    before_ours = f"rm -rf {target} {target}.state; mkdir {target}; cp -al {workshop.path('ours-full')}/. {target}/"
    rebase = (
        f"qemu-img create -q -f qcow2 -b {device} -F raw {overlay}; "
        f"qemu-img rebase {{}} -f qcow2 -b {full} -F qcow2 {overlay}; sync {overlay}"
    )

    def row(work, peer, peer_command, options, limits, **more):
        return Row(
            work,
            peer,
            peer_command,
            ours.backup(device, target, *options),
            limits,
            before_peer=f"rm -f {overlay}",
            before_ours=before_ours,
            check_ours=ours.shows(target, device, workshop.scratch),
            **more,
        )

    known = ("--changed", changed)
    try:
        yield row(
            "incremental, changed extents known",
            "qemu-img rebase -t none",
            rebase.format("-t none -T none"),
            known,
            [Limit("wall_s", 0.15)],
            check_peer=f"qemu-img compare -q -f qcow2 -F raw {overlay} {device}",
        )
        yield row(
            "incremental, by hash",
            "dd: reading the device once",
            f"dd if={device} of=/dev/null bs=1M iflag=direct status=none",
            ("--incremental",),
            [Limit("wall_s", 1.2)],
        )
        yield row(
            "incremental, by hash",
            "qemu-img compare of an unchanged disk (it stops at the first difference)",
            f"qemu-img compare -q -T none -f raw -F qcow2 {unchanged} {full}",
            ("--incremental",),
            [],
        )
    finally:
        shop.detach(device)
        shop.detach(unchanged)
