"""Merging the oldest backup away, and verifying a full one."""

import json

import measure
import ours
from rows import Limit, Row
from workshop import DAYS


def rows(workshop):
    yield from merge(workshop)
    yield from verify(workshop)


def forgotten(files):
    """Preparation: files that a command finds leave the page cache. What is merged or verified was written
    long ago, so neither side has it there."""
    return f"for file in $({files}); do dd if=$file iflag=nocache count=0 status=none; done"


def merge(workshop):
    """Both sides change the oldest image, so each run has a copy of its own."""
    qemu, target = workshop.scratch / "m", workshop.scratch / "merge"
    empty = f"rm -rf {qemu} {target} {target}.state"

    def fresh(chain, copy):
        made = f"cp -r --sparse=always --reflink=never {chain} {copy}; sync -f {copy}"
        return f"{empty}; {made}; {forgotten(f'find {copy} -type f')}"

    # The days from the second on, found where they were and in their parent's place.
    oldest = ours.points(workshop.path("ours"))[1]["point"]
    day1, day5 = workshop.path("day1.raw"), workshop.path("day5.raw")
    yield Row(
        "merge the oldest of a chain of 6 away",
        "qemu-img commit, and the next one rebased",
        f"cd {qemu}; qemu-img commit -q -d inc1.qcow2; "
        "qemu-img rebase -u -f qcow2 -b full.qcow2 -F qcow2 inc2.qcow2; sync full.qcow2 inc2.qcow2",
        ours.merge_oldest(target, DAYS),
        [Limit("wall_s", 1.2)],
        before_peer=fresh(workshop.path("qemu"), qemu),
        before_ours=fresh(workshop.path("ours"), target),
        check_peer=f"qemu-img compare -q -F raw {qemu}/full.qcow2 {day1}; qemu-img compare -q -F raw {qemu}/inc5.qcow2 {day5}",
        check_ours=f"{ours.shows(target, day1, workshop.scratch, point=oldest)}; {ours.shows(target, day5, workshop.scratch)}; "
        f"[ $(find {target} -name manifest.json | wc -l) = {DAYS} ]",
    )
    measure.quiet(empty)


def verify(workshop):
    full = workshop.path("ours-full")
    images = f"find {full} -type f -size +1M -not -name '*.index'"
    yield Row(
        "verify a full against its index",
        "dd: reading the image, 4 MiB at a time, direct",
        f"for image in $({images}); do dd if=$image of=/dev/null bs=4M iflag=direct status=none; done",
        f"{ours.verify(full)} >/dev/null",
        [Limit("wall_s", 1.25)],
        before_peer=forgotten(images),
        before_ours=forgotten(images),
    )
    held = sum(point["disks"][0]["data_bytes"] for point in ours.points(full))
    verified = json.loads(measure.quiet(ours.verify(full)))["bytes_verified"]
    if verified != held:
        raise measure.Failed(f"verify has read {verified} bytes of {held}")
