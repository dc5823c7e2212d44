"""The backup programs that find changes by reading everything, on a disk of 6 GiB: first run, second run
after a day, restore. Every program sees the disk at the same path, as a file.

Borg works on 64 KiB pieces where it is compared by what it stores; else as its manual advises for disks."""

import measure
import ours
import workshop as shop
from rows import Limit, Row

from .dedup_peers import FIXED, Borg, Restic

GIB = 6


def rows(workshop):
    first, second = workshop.path("dedup.raw"), workshop.path("dedup-day1.raw")
    make_disks(workshop, first, second)
    disk, changed = workshop.path("disk-to-back-up.raw"), workshop.path("dedup.changed")
    target, full = workshop.scratch / "ours", workshop.scratch / "ours-full"
    at_first, at_second = (f"ln -f {which} {disk}" for which in (first, second))
    measure.quiet(f"{ours.initialise(full)}; {ours.backup(first, full, compression='zstd')}")
    # Links to the full one will do, see workshop.py.
    with_full = f"rm -rf {target} {target}.state; mkdir {target}; cp -al {full}/. {target}/; {at_second}"

    def of_borg(peer, *limits):
        return list(limits) if isinstance(peer, Borg) else []

    for peer in (Borg(workshop.scratch / "peer", disk), Restic(workshop.scratch / "peer", disk)):
        yield Row(
            "first run of a disk of 6 GiB, zstd",
            peer.name,
            peer.backup("full"),
            ours.backup(disk, target, compression="zstd"),
            of_borg(peer, Limit("wall_s", 0.5)),
            before_peer=f"{peer.initialise()}; {at_first}",
            before_ours=f"{ours.initialise(target)}; {at_first}",
            check_peer=peer.shows("full", first),
            check_ours=ours.shows(target, first, workshop.scratch),
            warmups=0,
        )
        measure.quiet(f"{peer.initialise()}; {at_first}; {peer.backup('full')}; {peer.keep()}")
        for how, options, limit in (
            ("by hash", ("--incremental",), 0.6),
            ("changed extents known", ("--changed", changed), 0.2),
        ):
            yield Row(
                f"second run, 3 % changed, {how}",
                peer.name,
                peer.backup("day1"),
                ours.backup(disk, target, *options, compression="zstd"),
                of_borg(peer, Limit("wall_s", limit)),
                before_peer=f"{peer.as_kept()}; {at_second}",
                before_ours=with_full,
                check_peer=peer.shows("day1", second),
                check_ours=ours.shows(target, second, workshop.scratch),
                warmups=0,
            )
        restored = workshop.scratch / "restored.raw"
        yield Row(
            "restore of the second run",
            peer.name,
            peer.restore("day1"),
            ours.restore(target, restored),
            of_borg(peer, Limit("wall_s", 0.3)),
            before_peer=peer.make_room(),
            before_ours=f"rm -f {restored}",
            check_peer=f"{peer.same(second)}; {peer.make_room()}",
            check_ours=f"cmp {restored} {second}; rm {restored}",
            warmups=0,
        )
        measure.quiet(peer.remove())
    fixed = Borg(workshop.scratch / "peer", disk, FIXED)
    yield Row(
        "stored after both runs",
        fixed.name,
        fixed.backup("day1"),
        ours.backup(disk, target, "--incremental", compression="zstd"),
        [Limit("stored", 1.05)],
        before_peer=f"{fixed.initialise()}; {at_first}; {fixed.backup('full')}; {at_second}",
        before_ours=with_full,
        stored_peer=str(fixed.repository),
        stored_ours=str(target),
        check_peer=fixed.shows("day1", second),
        check_ours=ours.shows(target, second, workshop.scratch),
        warmups=0,
        runs=1,
    )
    measure.quiet(f"rm -rf {workshop.scratch}/*; rm {disk}")


def make_disks(workshop, first, second):
    """The first 6 GiB of the disks, and what changed in them."""
    limit = GIB << 30
    for source, path in (("base.raw", first), ("day1.raw", second)):
        if not path.exists():
            measure.quiet(
                f"cp --sparse=always {workshop.path(source)} {path}.tmp; truncate -s {limit} {path}.tmp; mv {path}.tmp {path}"
            )
    lines = []
    for line in workshop.path("day1.changed").read_text().splitlines():
        offset, length = map(int, line.split())
        if offset < limit:
            lines.append(f"{offset} {min(length, limit - offset)}\n")
    workshop.path("dedup.changed").write_text("".join(lines))
    shop.say("compares with borg and restic ...")
