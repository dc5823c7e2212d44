"""A chain or a compressed image back to a raw file, flushed."""

import measure
import ours
import workshop as shop
from rows import Limit, Row

LONG = 60
SHORT = 6


def rows(workshop):
    out = workshop.scratch / "restored.raw"
    fresh = f"rm -f {out}"

    def row(work, peer, peer_command, our_command, limits, disk):
        same = f"cmp {out} {disk}"
        return Row(
            work,
            peer,
            peer_command,
            our_command,
            limits,
            before_peer=fresh,
            before_ours=fresh,
            check_peer=same,
            check_ours=same,
        )

    def convert(image):
        return f"qemu-img convert -f qcow2 -O raw {image} {out}; sync {out}"

    yield row(
        "restore, chain of 6",
        "qemu-img convert",
        convert(workshop.path("qemu/inc5.qcow2")),
        ours.restore(workshop.path("ours"), out),
        [Limit("wall_s", 1.0)],
        workshop.path("day5.raw"),
    )
    yield row(
        "restore, zstd",
        "qemu-img convert",
        convert(workshop.path("zstd.qcow2")),
        ours.restore(workshop.path("ours-zstd"), out),
        [Limit("wall_s", 0.6)],
        workshop.path("base.raw"),
    )
    make_long_chain(workshop)
    long, short = workshop.path("long"), workshop.path("short")
    yield row(
        f"restore, chain of {LONG}",
        "qemu-img convert",
        convert(workshop.path(f"long-qemu/{LONG - 1}.qcow2")),
        ours.restore(long, out),
        [Limit("wall_s", 1.0)],
        workshop.path("long.raw"),
    )
    yield row(
        f"restore, chain of {LONG}",
        f"ours, of the same disk in a chain of {SHORT}",
        ours.restore(short, out),
        ours.restore(long, out),
        [Limit("wall_s", 1.1)],
        workshop.path("long.raw"),
    )
    measure.quiet(fresh)


def make_long_chain(workshop):
    """A disk of 1 GiB and 59 days of 3 % in an image each; the same days in 5 larger increments."""
    if workshop.path("long-is-made").exists():
        return
    shop.say(f"makes the chain of {LONG} ...")
    long, short, qemu = (workshop.path(name) for name in ("long", "short", "long-qemu"))
    disk, changed, since = (workshop.path(name) for name in ("long.raw", "long.changed", "long.since"))
    measure.quiet(
        f"rm -rf {qemu} {disk}; mkdir {qemu}; truncate -s 1G {disk}; "
        f"dd if={workshop.path('base.raw')} of={disk} bs=1M skip=300 count=400 conv=notrunc status=none; "
        f"qemu-img convert -f raw -O qcow2 {disk} {qemu}/0.qcow2"
    )
    for target in (long, short):
        measure.quiet(f"{ours.initialise(target)}; {ours.backup(disk, target)}")
    measure.quiet(f": > {since}")
    step = (LONG - 1) // (SHORT - 1)
    below = "0.qcow2"
    for day in range(1, LONG):
        shop.mutate(disk, day, changed, seed="long")
        below = workshop.peer_increment(qemu, below, f"{day}.qcow2", disk, changed)
        measure.quiet(f"{ours.backup(disk, long, '--changed', changed)}; cat {changed} >> {since}")
        if day % step == 0 and day // step < SHORT - 1 or day == LONG - 1:
            measure.quiet(f"{ours.backup(disk, short, '--incremental')}; : > {since}")
    measure.quiet(f"sync -f {workshop.root}")
    workshop.path("long-is-made").touch()
