"""How long an engine and PyTorch take for the same calls in this front end: one file for each engine, which the daemon
reads. docs/index.md describes it.
"""
from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .calls import Call
from .proofs import write

VERSION = 1
# By which factor two sizes may differ and still take about the same time per pixel.
ALIKE = 1.25
# Something else may have used the GPU just then: an engine that was slower is measured again after so many seconds, and
# if it still is, after six times as many, up to a week.
AGAIN_S, LATER, LAST_S = 600, 6, 7 * 24 * 3600
# More than anyone has in use: the oldest are dropped.
MOST = 500


class Timing(NamedTuple):
    """Milliseconds of a call: medians of both, and how far single calls were off them."""

    call: Call
    engine: float
    torch: float
    noise: float
    # When, in seconds since 1970, and how often in a row with the same outcome.
    measured: int = 0
    times: int = 1

    @property
    def gain(self) -> float:
        """Returns how many times as fast as PyTorch the engine is."""
        return self.torch / self.engine

    @property
    def is_slower(self) -> bool:
        """Whether PyTorch is faster, by more than the noise."""
        return self.engine - self.torch > self.noise

    def is_doubtful(self, now: float) -> bool:
        """Whether an engine that was slower is to be measured again."""
        wait = min(AGAIN_S * LATER ** (self.times - 1), LAST_S)
        return self.is_slower and not 0 <= now - self.measured < wait


def of_laps(call: Call, engine: Sequence[float], torch: Sequence[float]) -> Timing:
    """Returns what these milliseconds say."""
    return Timing(call, statistics.median(engine), statistics.median(torch), noise(engine) + noise(torch))


def noise(laps: Sequence[float]) -> float:
    """Returns how far they are off their median. One may be as far off as it likes: something else ran then."""
    middle = statistics.median(laps)
    off = sorted(abs(each - middle) for each in laps)
    return off[-2] if len(off) > 2 else off[-1]


def nearest(timings: Sequence[Timing], call: Call) -> Timing | None:
    """Returns the timing of the most similar call with this batch and number of tokens, or None."""

    def distance(timing: Timing) -> float:
        ratio = timing.call.width * timing.call.height / (call.width * call.height)
        return max(ratio, 1 / ratio)

    same = (timing for timing in timings if timing.call[2:] == call[2:] and distance(timing) <= ALIKE)
    return min(same, key=distance, default=None)


class Timings:
    """The folder `timings` beside the index. What can't be written is kept until the front end ends."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._known: dict[str, list[dict[str, Any]]] = {}

    def of(self, engine: str, about: dict[str, Any]) -> list[Timing]:
        """Returns those that were measured with the same GPU, driver and so on."""
        if engine not in self._known:
            self._known[engine] = self._read(engine)
        return [_timing(row) for row in self._known[engine] if row.items() >= about.items()]

    def record(self, engine: str, about: dict[str, Any], timing: Timing) -> None:
        """Stores one in place of an earlier one of the same call; raises OSError if the folder can't be written."""
        call = timing.call._asdict()
        # Another front end may have added some.
        known = self._read(engine)
        before = [_timing(each) for each in known if each.items() >= (about | call).items()]
        others = [each for each in known if not each.items() >= (about | call).items()]
        times = 1 + sum(each.times for each in before if each.is_slower == timing.is_slower)
        row = about | call | {
            "engine_milliseconds": timing.engine, "torch_milliseconds": timing.torch,
            "noise_milliseconds": timing.noise, "time": int(time.time()), "times": times,
        }
        self._known[engine] = rows = [*others, row][-MOST:]
        tree = {"version": VERSION, "engine": engine, "timings": rows}
        write(self._path(engine), json.dumps(tree, indent=1).encode())

    def _path(self, engine: str) -> Path:
        return self.folder / f"{engine}.json"

    def _read(self, engine: str) -> list[dict[str, Any]]:
        try:
            tree = json.loads(self._path(engine).read_text("utf-8"))
            rows: list[dict[str, Any]] = tree["timings"] if tree["version"] == VERSION else []
            for row in rows:
                _timing(row)
            return rows
        except (OSError, ValueError, KeyError, TypeError):
            return []


def _timing(row: dict[str, Any]) -> Timing:
    call = Call(*(int(row[name]) for name in Call._fields))
    engine, torch, noise = (float(row[f"{name}_milliseconds"]) for name in ("engine", "torch", "noise"))
    return Timing(call, engine, torch, noise, int(row["time"]), int(row.get("times", 1)))
