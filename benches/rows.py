"""A row of the table: the same work, by a peer and by us, and what we promise."""

from dataclasses import dataclass

import measure


@dataclass
class Limit:
    """A promise: `figure` of us over the peer is at most `at_most`. Figures: wall_s, cpu_s (paired
    ratios), stored (bytes on the target), peak_mib (ours alone, an absolute number)."""

    figure: str
    at_most: float

    def text(self):
        names = {"wall_s": "wall", "cpu_s": "cpu", "stored": "size", "peak_mib": "MiB"}
        return f"{names[self.figure]} <= {self.at_most:g}{'' if self.figure == 'peak_mib' else 'x'}"


@dataclass
class Row:
    """`peer` and `ours` are commands, `before_*` their preparations, which no clock sees. `check_*` fail
    unless the last run has made what it should. `stored_*` name what to measure the size of then."""

    work: str
    peer: str
    peer_command: str
    our_command: str
    limits: list[Limit]
    before_peer: str = ""
    before_ours: str = ""
    check_peer: str = ""
    check_ours: str = ""
    stored_peer: str = ""
    stored_ours: str = ""
    runs: int = 3
    warmups: int = 1


def carry_out(row, runs=None):
    """Runs the row and returns its line of the summary."""
    peer, ours, sizes = measure.paired(
        (row.before_peer, row.peer_command, row.check_peer, row.stored_peer),
        (row.before_ours, row.our_command, row.check_ours, row.stored_ours),
        runs or row.runs,
        row.warmups,
    )
    found = {
        "wall_s": measure.ratio(peer, ours, "wall_s"),
        "cpu_s": measure.ratio(peer, ours, "cpu_s"),
        "peak_mib": max(run.peak_mib for run in ours),
    }
    if all(sizes):
        found["stored"] = sizes[1] / sizes[0]
    missed = [limit.text() for limit in row.limits if found[limit.figure] > limit.at_most]
    return {
        "work": row.work,
        "peer": row.peer,
        "ratio": round(found["wall_s"], 3),
        "target": ", ".join(limit.text() for limit in row.limits),
        "cpu_ratio": round(found["cpu_s"], 3),
        "peer_wall_s": round(measure.median(peer, "wall_s"), 3),
        "our_wall_s": round(measure.median(ours, "wall_s"), 3),
        "runs": len(ours),
        "peer_cpu_s": round(measure.median(peer, "cpu_s"), 3),
        "our_cpu_s": round(measure.median(ours, "cpu_s"), 3),
        "peer_spread_s": measure.spread(peer),
        "our_spread_s": measure.spread(ours),
        "our_peak_mib": round(found["peak_mib"], 1),
        "peer_peak_mib": round(max(run.peak_mib for run in peer), 1),
        "size_ratio": round(found["stored"], 4) if "stored" in found else None,
        "missed": missed,
    }
