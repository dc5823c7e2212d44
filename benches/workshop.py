"""The folder a benchmark works in, and the disks that all its rows use. What is there is used again.

    base.raw, day1.raw, day1.changed     disks/make-disk.sh
    qemu/full.qcow2, inc1 .. inc5        the peers' chain: five days of use
    ours/                                our chain of the same days, plain
    ours-full/, ours-zstd/               its full backup alone, and a compressed one
    zstd.qcow2                           the peers' compressed full
    day5.raw                             the disk after the fifth day, for comparing
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import measure
import ours

HERE = Path(__file__).resolve().parent
DAYS = 5
SEED = 20260101


def say(text):
    print(text, file=sys.stderr, flush=True)


@dataclass
class Workshop:
    root: Path
    gib: int

    def path(self, name):
        return self.root / name

    @property
    def scratch(self):
        return self.root / "scratch"

    def make(self):
        """Makes what is missing; each thing appears whole or not at all."""
        self.root.mkdir(parents=True, exist_ok=True)
        needed = self.gib * 6 << 30
        free = shutil.disk_usage(self.root).free
        have = sum(f.stat().st_blocks * 512 for f in self.root.rglob("*") if f.is_file())
        if free + have < needed:
            raise measure.Failed(
                f"{self.root} has {free >> 30} GiB free, about {needed >> 30} GiB are needed: "
                "set BENCH_DIR to another folder or BENCH_GIB to a smaller disk"
            )
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        if not self.path("day1.raw").exists():
            say(f"makes the disks ({self.gib} GiB; a Debian tree is fetched once) ...")
            measure.quiet(f"SEED={SEED} bash '{HERE}/disks/make-disk.sh' '{self.root}' {self.gib}")
        if not self.path("chains-are-made").exists():
            self.make_chains()

    def make_chains(self):
        """Both sides' chains of the same days, and the disk at their end."""
        say("makes the chains of five days ...")
        qemu, chain = self.path("qemu"), self.path("ours")
        for folder in (qemu, chain, self.path("ours-full"), self.path("ours-zstd")):
            shutil.rmtree(folder, ignore_errors=True)
        qemu.mkdir()
        base, day = self.path("base.raw"), self.path("day5.raw")
        measure.quiet(f"qemu-img convert -f raw -O qcow2 '{base}' '{qemu}/full.qcow2'")
        measure.quiet(
            f"qemu-img convert -W -c -o compression_type=zstd -f raw -O qcow2 '{base}' '{self.path('zstd.qcow2')}'"
        )
        full = self.path("ours-full")
        measure.quiet(f"{ours.initialise(full)}; {ours.backup(base, full)}")
        # Finished images are never changed by a backup: links to them save the disk.
        measure.quiet(f"mkdir '{chain}'; cp -al '{full}/.' '{chain}/'")
        zstd = self.path("ours-zstd")
        measure.quiet(f"{ours.initialise(zstd)}; {ours.backup(base, zstd, compression='zstd')}")
        measure.quiet(f"cp --sparse=always '{self.path('day1.raw')}' '{day}'")
        below = "full.qcow2"
        for number in range(1, DAYS + 1):
            changed = self.path(f"day{number}.changed")
            if number > 1:
                mutate(day, number, changed)
            below = self.peer_increment(qemu, below, f"inc{number}.qcow2", day, changed)
            measure.quiet(ours.backup(day, chain, "--changed", changed))
        measure.quiet(f"sync -f '{self.root}'")
        self.path("chains-are-made").touch()

    def peer_increment(self, folder, below, name, disk, changed):
        """An incremental as tools that know the changed extents make it: over NBD into an overlay."""
        socket = self.scratch / "nbd"
        measure.quiet(
            f"cd '{folder}' && qemu-img create -q -f qcow2 -b {below} -F qcow2 {name} && rm -f '{socket}'\n"
            f"qemu-nbd -f qcow2 -k '{socket}' {name} &\n"
            f"while [ ! -S '{socket}' ]; do sleep .02; done\n"
            f"/usr/bin/python3 '{HERE}/disks/nbdruns.py' '{disk}' '{changed}' '{socket}' && wait"
        )
        return name


def mutate(disk, day, changed, seed=SEED, fraction=0.03):
    """A day of use, in place."""
    measure.quiet(
        f"python3 '{HERE}/disks/mutate.py' '{disk}' --seed {seed} --day {day} --fraction {fraction} --list '{changed}'"
    )


def flat(path):
    """A block device over a file, which tells no holes, as an attached volume does. Read-only."""
    return measure.quiet(f"losetup -r -f --show --direct-io=on '{path}'").strip()


def detach(device):
    measure.quiet(f"losetup -d {device}")


def settings():
    root = Path(os.environ.get("BENCH_DIR", "/var/tmp/backstay-bench"))
    return Workshop(root, int(os.environ.get("BENCH_GIB", "10")))
