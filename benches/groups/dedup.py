"""The backup programs that find changes by reading everything, on a disk of 6 GiB: first run, second run
after a day, restore. Every program sees the disk at the same path, as a file.

Borg works on 64 KiB pieces where it is compared by what it stores; else as its manual advises for disks."""

import measure
import ours
import workshop as shop
from rows import Limit, Row

GIB = 6
CONTENT_DEFINED = "buzhash,19,23,21,4095"
FIXED = "fixed,65536"


def rows(workshop):
    disk = make_disks(workshop)
    first, second = workshop.path("dedup.raw"), workshop.path("dedup-day1.raw")
    changed = workshop.path("dedup.changed")
    out, target = workshop.scratch / "dedup-out", workshop.scratch / "dedup-ours"
    full = workshop.path("dedup-full")
    measure.quiet(f"{ours.initialise(full)}; {ours.backup(first, full, compression='zstd')}")
    at_first, at_second = (f"ln -f {which} {disk}" for which in (first, second))
    with_full = f"rm -rf {target} {target}.state; mkdir {target}; cp -al {full}/. {target}/; {at_second}"

    borg = Borg(workshop.scratch / "borg", disk)
    restic = Restic(workshop.scratch / "restic", disk)
    for peer in (borg, restic):
        yield Row(
            "first run of a disk of 6 GiB, zstd",
            peer.name,
            peer.backup("full"),
            ours.backup(disk, target, compression="zstd"),
            [Limit("wall_s", 0.5)] if peer is borg else [],
            before_peer=f"{peer.initialise()}; {at_first}",
            before_ours=f"{ours.initialise(target)}; {at_first}",
            warmups=0,
        )
        prepared = f"{peer.initialise()}; {at_first}; {peer.backup('full')}; {at_second}"
        for how, options, limit in (
            ("by hash", ("--incremental",), 0.6),
            ("changed extents known", ("--changed", changed), 0.2),
        ):
            yield Row(
                f"second run, 3 % changed, {how}",
                peer.name,
                peer.backup("day1"),
                ours.backup(disk, target, *options, compression="zstd"),
                [Limit("wall_s", limit)] if peer is borg else [],
                before_peer=prepared,
                before_ours=with_full,
                warmups=0,
                runs=2,
            )
        measure.quiet(f"{prepared}; {peer.backup('day1')}")
        measure.quiet(f"{with_full}; {ours.backup(disk, target, '--incremental', compression='zstd')}")
        yield Row(
            "restore of the second run",
            peer.name,
            f"{peer.restore(out)}; sync -f {out}",
            ours.restore(target, out / "disk.raw"),
            [Limit("wall_s", 0.3)] if peer is borg else [],
            before_peer=f"rm -rf {out}; mkdir {out}",
            before_ours=f"rm -rf {out}; mkdir {out}",
            warmups=0,
        )
    fixed = Borg(workshop.scratch / "borg", disk, FIXED)
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
        warmups=0,
        runs=1,
    )
    measure.quiet(f"rm -rf {workshop.scratch}/*")


def make_disks(workshop):
    """The first 6 GiB of the disks, and what changed in them."""
    limit = GIB << 30
    for source, name in (("base.raw", "dedup.raw"), ("day1.raw", "dedup-day1.raw")):
        if not workshop.path(name).exists():
            measure.quiet(
                f"cp --sparse=always {workshop.path(source)} {workshop.path(name)}.tmp; "
                f"truncate -s {limit} {workshop.path(name)}.tmp; mv {workshop.path(name)}.tmp {workshop.path(name)}"
            )
    lines = []
    for line in workshop.path("day1.changed").read_text().splitlines():
        offset, length = map(int, line.split())
        if offset < limit:
            lines.append(f"{offset} {min(length, limit - offset)}\n")
    workshop.path("dedup.changed").write_text("".join(lines))
    shop.say("compares with borg and restic ...")
    return workshop.path("disk-to-back-up.raw")


class Borg:
    def __init__(self, repository, disk, chunker=CONTENT_DEFINED):
        self.repository, self.disk, self.chunker = repository, disk, chunker
        self.name = f"borg (zstd,1; {chunker})"
        self.environment = (
            f"export BORG_PASSPHRASE=x BORG_BASE_DIR={repository}.base "
            "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes; "
        )

    def initialise(self):
        return f"{self.environment}rm -rf {self.repository} {self.repository}.base; borg init -e repokey {self.repository}"

    def backup(self, archive):
        return (
            f"{self.environment}borg create -C zstd,1 --chunker-params {self.chunker} "
            f"{self.repository}::{archive} {self.disk}; sync -f {self.repository}"
        )

    def restore(self, out):
        return f"{self.environment}cd {out}; borg extract --sparse {self.repository}::day1"


class Restic:
    name = "restic"

    def __init__(self, repository, disk):
        self.repository, self.disk = repository, disk
        self.restic = f"RESTIC_PASSWORD=x RESTIC_CACHE_DIR={repository}.cache restic -q -r {repository}"

    def initialise(self):
        return f"rm -rf {self.repository} {self.repository}.cache; {self.restic} init"

    def backup(self, _archive):
        return f"{self.restic} backup --compression auto {self.disk}; sync -f {self.repository}"

    def restore(self, out):
        return f"{self.restic} restore latest --target {out}"
