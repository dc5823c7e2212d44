"""Two transfers at once on one host against one after the other."""

import measure
import ours
from rows import Limit, Row


def rows(workshop):
    sources = [workshop.path("base.raw"), workshop.path("day1.raw")]
    targets = [workshop.scratch / f"two{number}" for number in (1, 2)]
    before = "; ".join(ours.initialise(target) for target in targets)
    backups = [ours.backup(source, target) for source, target in zip(sources, targets)]
    both = f"{backups[0]} & first=$!; {backups[1]}; wait $first"
    check = "; ".join(ours.shows(target, source, workshop.scratch) for source, target in zip(sources, targets))
    yield Row(
        "two transfers at once",
        "ours, one after the other",
        "; ".join(backups),
        both,
        [Limit("wall_s", 1.0)],
        before_peer=before,
        before_ours=before,
        check_peer=check,
        check_ours=check,
    )
    measure.quiet(f"rm -rf {' '.join(str(target) for target in targets)}")
