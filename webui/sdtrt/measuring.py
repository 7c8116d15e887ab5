"""Measures engines beside PyTorch in the front end's own calls."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import machine, timings
from .calls import Call
from .choosing import Chooser
from .host import Host
from .index import Engine

if TYPE_CHECKING:
    import torch

# Each side computes this many calls in a row, so that the GPU is as busy as in a picture, and takes turns.
LAPS, TURNS = 3, 2
# Calls that take longer than this altogether are measured in one turn of two.
LONG_MS = 4000.0


class Measurer:
    """Measures an engine at the second call of a kind in a job, when both have compiled what they need for it, but not
    in the first job with such calls: whoever waits for a first picture waits for the engine to be loaded already.

    `say` prints a line for the user."""

    def __init__(self, chooser: Chooser, host: Host, say: Callable[[str], None]) -> None:
        self.chooser, self.host, self._say = chooser, host, say
        # Kinds of calls in former jobs, and in this one.
        self._before: set[tuple[str, Call]] = set()
        self._seen: set[tuple[str, Call]] = set()
        self.start_job()

    def start_job(self) -> None:
        """Lets what could not be measured be tried again."""
        self.is_on = True
        self._before |= self._seen
        self._seen = set()
        # Those of which nothing more is to be found out in this job.
        self._done: set[tuple[str, Call]] = set()

    def measure(
        self, entry: Engine, call: Call, by_engine: Callable[[], torch.Tensor], in_torch: Callable[[], torch.Tensor]
    ) -> bool:
        """Lets both compute the call some times, the engine last, and stores what they took, if that is due. Returns
        whether it was. Counts the calls."""
        if not self._is_due(entry, call):
            return False
        laps: dict[str, list[float]] = {"engine": [], "torch": []}
        turns, count = TURNS, LAPS
        try:
            while turns > 0:
                turns -= 1
                for name, run in (("torch", in_torch), ("engine", by_engine)):
                    # The first finds the weights in the other's layout.
                    first = machine.laps(run, 1)[0]
                    if first * LAPS * TURNS > LONG_MS:
                        turns, count = 0, 2
                    laps[name] += machine.laps(run, count)
        except RuntimeError as problem:
            # torch's OutOfMemoryError is one, and its message says so.
            if "out of memory" not in str(problem):
                raise
            self.is_on = False
            self._say("the engine's speed is not compared with PyTorch's: out of memory; it will be in the next job")
            return True
        timing = timings.of_laps(call, laps["engine"], laps["torch"])
        try:
            self.chooser.place.timings.record(entry.id, self.chooser.surroundings(), timing)
        except OSError as problem:
            self._say(f"how long PyTorch takes could not be saved, and will be measured again: {problem}")
        return True

    def _is_due(self, entry: Engine, call: Call) -> bool:
        kind = entry.id, call
        if kind in self._done or not self.is_on:
            return False
        is_first = kind not in self._seen
        self._seen.add(kind)
        if is_first or kind not in self._before:
            return False
        self._done.add(kind)
        # PyTorch may take a short cut for now, of which nobody knows how long it lasts.
        approximation = self.host.approximation(from_file=not entry.is_shared)
        return approximation is None and self.chooser.timing(entry, call) is None


def surroundings(host: Host) -> dict[str, Any]:
    """Returns what both times depend on besides the call."""
    return machine.about() | {"driver": machine.driver(), "front_end": host.front_end()}
