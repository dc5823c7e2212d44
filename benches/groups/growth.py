"""The laws of growth: what a transfer costs must follow what it should follow, and nothing else.

Each row is ours against ours: the same work with a factor more of something. Where cost must follow, the
ratio of wall times is divided by the factor; where it must not, it stands as it is."""

import measure
import ours
import workshop as shop
from rows import Limit, Row

MIB = 1 << 20


def rows(workshop):
    scratch, target = workshop.scratch, workshop.scratch / "growth"
    before = ours.initialise(target)

    def disk(name, data_mib, size):
        path = scratch / name
        measure.quiet(
            f"truncate -s 0 {path}; dd if={workshop.path('base.raw')} of={path} bs=1M skip=300 count={data_mib} status=none; "
            f"truncate -s {size} {path}; sync {path}"
        )
        return path

    small, large = disk("a256", 256, "10G"), disk("a1024", 1024, "10G")
    yield Row(
        "full of 4x the allocated bytes: at most 4x",
        "ours, 256 MiB of 10 GiB, four times",
        "; ".join(f"{before}; {ours.backup(small, target)}" for _ in range(4)),
        f"{before}; {ours.backup(large, target)}",
        [Limit("wall_s", 1.1)],
    )
    huge = disk("v8T", 256, "8T")
    yield Row(
        "full of 800x the virtual size: the same",
        "ours, 256 MiB of 10 GiB",
        f"{before}; {ours.backup(small, target)}",
        f"{before}; {ours.backup(huge, target)}",
        [Limit("wall_s", 1.5)],
    )
    few, many = scratch / "few", scratch / "many"
    day, all_days = scratch / "day.raw", scratch / "full"
    measure.quiet(f"cp --sparse=always {large} {day}; {ours.initialise(all_days)}; {ours.backup(large, all_days)}")
    shop.mutate(day, 1, many, seed="growth", fraction=0.02)
    lines = many.read_text().splitlines(keepends=True)
    few.write_text("".join(lines[: len(lines) // 10]))
    again = f"rm -rf {target} {target}.state; mkdir {target}; cp -al {all_days}/. {target}/"
    yield Row(
        "incremental of 10x the changed bytes: at most 10x",
        "ours, a tenth of the changes, ten times",
        "; ".join(f"{again}; {ours.backup(day, target, '--changed', few)}" for _ in range(10)),
        f"{again}; {ours.backup(day, target, '--changed', many)}",
        [Limit("wall_s", 1.1)],
    )
    measure.quiet(f"rm -rf {scratch}/*")
