"""Merging the oldest backup away, and verifying a full one."""

import ours
from rows import Limit, Row


def rows(workshop):
    qemu, target = workshop.scratch / "m", workshop.scratch / "merge"
    copy = "cp -r --sparse=always --reflink=never"
    yield Row(
        "merge the oldest of a chain of 6 away",
        "qemu-img commit, and the next one rebased",
        f"cd {qemu}; qemu-img commit -q -d inc1.qcow2; "
        "qemu-img rebase -u -f qcow2 -b full.qcow2 -F qcow2 inc2.qcow2; sync full.qcow2 inc2.qcow2",
        ours.merge_oldest(target, 5),
        [Limit("wall_s", 1.2)],
        before_peer=f"rm -rf {qemu} {target}; {copy} {workshop.path('qemu')} {qemu}; sync -f {qemu}",
        before_ours=f"rm -rf {qemu} {target}; {copy} {workshop.path('ours')} {target}; sync -f {target}",
    )
    full = workshop.path("ours-full")
    images = f"$(find {full} -type f -size +1M -not -name '*.index')"
    yield Row(
        "verify a full against its index",
        "cat: reading the image",
        f"cat {images} >/dev/null",
        ours.verify(full),
        [Limit("wall_s", 1.25)],
    )
