"""Timing two commands in turn as whole processes, and what their paired ratios say."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass

STRICT = "set -euo pipefail; "


@dataclass
class Run:
    """One run of a command: the kernel's accounting of its shell and of all it waited for."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    output: str = ""


class Failed(Exception):
    """A command ended with an error; its words are in the text."""


def quiet(command):
    """Runs a preparation or a check; its output is shown only if it fails."""
    done = subprocess.run(["bash", "-c", f"{STRICT}{command}"], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"exit {done.returncode}, off the clock: {command}\n{done.stdout}{done.stderr}")
    return done.stdout


def once(command):
    """Runs `command` by bash with the clock on."""
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        pid = os.posix_spawn(
            "/bin/bash",
            ["bash", "-c", STRICT + command],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, out.fileno(), 2),
            ],
        )
        _, status, usage = os.wait4(pid, 0)
        wall = time.monotonic() - began
        out.seek(0)
        text = out.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise Failed(f"exit {code}: {command}\n{text[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def paired(peer, ours, runs, warmups):
    """Runs both sides in turn, the order changing from round to round so that neither always comes
    second, and looks at what the last run of each has made, before the other side's preparation clears it away.
    Returns two lists of `Run`, and what both have stored. A side is (preparation, command, check, stored)."""
    results, sizes = ([], []), [None, None]
    for round_ in range(-warmups, runs):
        order = (0, 1) if round_ % 2 == 0 else (1, 0)
        for side in order:
            preparation, command, check, stored = (peer, ours)[side]
            if preparation:
                quiet(preparation)
            run = once(command)
            if round_ >= 0:
                results[side].append(run)
            if check and round_ == runs - 1:
                quiet(check)
            if stored and round_ == runs - 1:
                sizes[side] = allocated_bytes(stored)
    return *results, sizes


def ratio(peer, ours, figure):
    """The median of the rounds' ratios: the drift of a shared machine cancels."""
    pairs = zip(peer, ours, strict=True)
    return statistics.median(getattr(o, figure) / max(getattr(p, figure), 1e-9) for p, o in pairs)


def median(runs, figure):
    """The median of one figure."""
    return statistics.median(getattr(run, figure) for run in runs)


def spread(runs):
    """Smallest and largest wall time."""
    walls = [run.wall_s for run in runs]
    return f"{min(walls):.2f}-{max(walls):.2f}"


def allocated_bytes(path):
    """What lies on disk below `path`."""
    return int(quiet(f"du -sB1 '{path}'").split()[0])


def write_json(path, value):
    """Whole or not at all, so that an interrupted benchmark leaves the last summary."""
    text = json.dumps(value, indent=2, default=asdict)
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    os.replace(temporary, path)
