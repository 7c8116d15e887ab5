"""What a front end's start takes with our part and without."""
import statistics
from typing import NamedTuple

# Seconds of computing by which our part may delay the start.
SLOWER_S = 0.3


class Start(NamedTuple):
    """Seconds that passed, and seconds that it computed, which tell more on a machine that others use."""

    passed: float
    computed: float


def compare(start, ways, rounds):
    """Starts each of two ways in turn, the one without our part first. Returns whether our part is quick enough, and
    the medians in words. `start` gets a way's name and value."""
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(start(name, way))
    medians = {name: Start(*map(statistics.median, zip(*each, strict=True))) for name, each in found.items()}
    without, ours = medians.values()
    more = Start(ours.passed - without.passed, ours.computed - without.computed)
    spread = max(max(each).computed - min(each).computed for each in found.values())
    told = (f"{ours.passed:.2f} s and {without.passed:.2f} without ({more.passed:+.2f}); of computing "
            f"{ours.computed:.2f} and {without.computed:.2f} ({more.computed:+.2f}; up to {spread:.2f} from start to "
            f"start); medians of {rounds}")
    return more.computed <= SLOWER_S, told
