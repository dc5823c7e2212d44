"""Our command, as the benchmark calls it: one place for its spelling."""

import shlex
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "target/release/backstay-datamover"


def command(*words):
    return " ".join(shlex.quote(str(word)) for word in (PROGRAM, *words))


def initialise(target):
    """Preparation: an empty folder, whatever was there. The first backup makes it a target."""
    return f"rm -rf {target} {target}.state; mkdir -p {target}"


def backup(source, target, *options, name="disk", compression="none"):
    """One backup of a disk. The state of interrupted runs is kept beside the target."""
    words = ["backup", source, target, "--name", name, "--compression", compression, "--quiet", "--initialise"]
    return command(*words, "--state", f"{target}.state", *options)


def restore(target, destination, point="", name="disk", *options):
    return command("restore", target, name + (f"@{point}" if point else ""), destination, "--force", "--quiet", *options)


def verify(target, name="disk"):
    return command("verify", target, name, "--quiet")


def merge_oldest(target, keep, name="disk"):
    return command("merge", target, name, "--keep", keep, "--quiet")
