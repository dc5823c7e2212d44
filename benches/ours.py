"""Our command, as the benchmark calls it: one place for its spelling."""

import json
import shlex
from pathlib import Path

import measure

PROGRAM = Path(__file__).resolve().parent.parent / "target/release/backstay-datamover"
S3 = "s3://"


def command(*words):
    return " ".join(shlex.quote(str(word)) for word in (PROGRAM, *words))


def on(target, state=None):
    """What every command needs to know besides its target: where it remembers interrupted work. Beside the
    target unless that is a bucket."""
    return "--state", state or f"{target}.state"


def initialise(target):
    """Preparation: an empty folder, whatever was there. The first backup makes it a target."""
    return f"rm -rf {target} {target}.state; mkdir -p {target}"


def backup(source, target, *options, name="disk", compression="none", state=None):
    """One backup of a disk."""
    words = ["backup", source, target, "--name", name, "--compression", compression, "--quiet", "--initialise"]
    return command(*words, *on(target, state), *options)


def restore(target, destination, *options, point="", name="disk", state=None):
    of = name + (f"@{point}" if point else "")
    return command("restore", target, of, destination, "--force", "--quiet", *on(target, state), *options)


def shows(target, disk, scratch, *options, **more):
    """Check: what comes back is byte by byte the disk."""
    out = scratch / "shown.raw"
    return f"{restore(target, out, *options, **more)}; cmp {out} {disk}; rm {out}"


def verify(target, name="disk"):
    return command("verify", target, name, "--json", *on(target))


def merge_oldest(target, keep, name="disk"):
    return command("merge", target, name, "--keep", keep, "--quiet", *on(target))


def points(target, name="disk"):
    """The backups of a disk, oldest first, as `info` tells of them."""
    return json.loads(measure.quiet(command("info", target, name, "--json", *on(target))))["points"]
