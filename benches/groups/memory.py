"""How much memory a backup takes: the same for a small disk, for a huge one, and for a huge one with an extent
in every cluster. The promise is an absolute number; qemu-img stands beside it for orientation."""

import os

import measure
import ours
from rows import Limit, Row

WORKERS = max(2, os.cpu_count() or 2)
MOST_MIB = 64 + 4 * WORKERS
CLUSTER = 64 << 10
TIB = 1 << 40


def rows(workshop):
    scratch, target = workshop.scratch, workshop.scratch / "memory"
    image = scratch / "memory.qcow2"

    def disk(name, data_mib, size):
        path = scratch / name
        measure.quiet(
            f"dd if={workshop.path('base.raw')} of={path} bs=1M skip=300 count={data_mib} status=none; "
            f"truncate -s {size} {path}"
        )
        return path

    def row(work, source, compression="none"):
        return Row(
            f"memory: {work}",
            "qemu-img convert",
            f"qemu-img convert -f raw -O qcow2 {source} {image}; sync {image}",
            ours.backup(source, target, compression=compression),
            [Limit("peak_mib", MOST_MIB)],
            before_peer=f"rm -f {image}",
            before_ours=ours.initialise(target),
            warmups=0,
            runs=1,
        )

    small = disk("memory-1g.raw", 1024, "1G")
    yield row("1 GiB, plain", small)
    yield row("1 GiB, zstd", small, "zstd")
    huge = disk("memory-1t.raw", 64, "1T")
    yield row("1 TiB, sparse", huge)
    # A change in every cluster; the disk reads as zeroes, so that only what we keep of it counts.
    every = scratch / "every.changed"
    with open(every, "w", encoding="ascii") as file:
        for cluster in range(TIB // CLUSTER):
            file.write(f"{cluster * CLUSTER} 4096\n")
    empty = scratch / "empty-1t.raw"
    measure.quiet(f"truncate -s 1T {empty}")
    yield Row(
        "memory: 1 TiB, an extent in every cluster",
        "qemu-img map of the same disk",
        f"qemu-img map --output=json -f raw {empty} >/dev/null",
        ours.backup(empty, target, "--changed", every),
        [Limit("peak_mib", MOST_MIB)],
        before_ours=f"{ours.initialise(target)}; {ours.backup(empty, target)}",
        warmups=0,
        runs=1,
    )
    measure.quiet(f"rm -rf {scratch}/*")
