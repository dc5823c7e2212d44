#!/usr/bin/env python3
"""make bench: the data path against its peers, in the same run, on the same disks.

usage: bench.py [GROUP ...]      groups: full incremental restore retention s3 memory two dedup growth

BENCH_DIR (/var/tmp/backstay-bench) is where the disks are made and kept, BENCH_GIB (10) how large they
are, BENCH_RUNS how many counted rounds each row gets instead of its own number. Ratios are medians of the
rounds' ratios (ours over the peer's): only they say something on a machine that others use too.
Writes target/bench/summary.json. Exit code 1 if a target is missed, 2 if something did not work.
"""

import importlib
import os
import sys
from pathlib import Path

import measure
import rows
import workshop

GROUPS = ["full", "incremental", "restore", "retention", "s3", "memory", "two", "dedup", "growth"]
HEADINGS = ("work", "peer", "ratio", "cpu", "size", "peer s", "our s", "our MiB", "target", "")


def table_line(line):
    size = line["size_ratio"]
    return (
        line["work"],
        line["peer"],
        f"{line['ratio']:.2f}",
        f"{line['cpu_ratio']:.2f}",
        f"{size:.3f}" if size else "",
        f"{line['peer_wall_s']:.2f} ({line['peer_spread_s']})",
        f"{line['our_wall_s']:.2f} ({line['our_spread_s']})",
        f"{line['our_peak_mib']:.0f}",
        line["target"],
        "MISSED" if line["missed"] else "",
    )


def show(lines):
    cells = [HEADINGS, *map(table_line, lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def main():
    wanted = sys.argv[1:] or GROUPS
    unknown = sorted(set(wanted) - set(GROUPS))
    if unknown:
        print(f"no such group: {', '.join(unknown)}; there are: {' '.join(GROUPS)}", file=sys.stderr)
        return 2
    shop = workshop.settings()
    runs = int(os.environ.get("BENCH_RUNS", "0"))
    out = Path(__file__).resolve().parent.parent / "target/bench"
    out.mkdir(parents=True, exist_ok=True)
    lines, broken = [], []
    try:
        shop.make()
    except measure.Failed as error:
        print(error, file=sys.stderr)
        return 2
    for name in wanted:
        try:
            for row in importlib.import_module(f"groups.{name}").rows(shop):
                workshop.say(f"{name}: {row.work}, against {row.peer} ...")
                line = rows.carry_out(row, runs)
                line["group"] = name
                lines.append(line)
                workshop.say(f"    {line['ratio']:.2f} wall, {line['cpu_ratio']:.2f} cpu ({line['target'] or 'for comparison'})")
                measure.write_json(out / "summary.json", {"rows": lines})
        except measure.Failed as error:
            broken.append(name)
            print(f"{name}: {error}", file=sys.stderr)
    show(lines)
    missed = [line for line in lines if line["missed"]]
    for line in missed:
        print(f"missed: {line['work']} against {line['peer']}: {', '.join(line['missed'])}")
    print(f"{len(lines)} rows, {len(missed)} targets missed; {out / 'summary.json'}")
    if broken:
        print(f"did not work: {', '.join(broken)}", file=sys.stderr)
        return 2
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
