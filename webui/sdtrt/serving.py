"""Which engine serves a call. Pure."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from . import calls
from .calls import Call
from .index import Engine, Speed
from .timings import ALIKE, Timing


class Served(NamedTuple):
    engine: Engine
    # The number of the optimization profile.
    profile: int
    # The latency of a similar call, if known.
    milliseconds: float | None


def best(engines: Sequence[Engine], call: Call, gpu: str | None) -> Served | None:
    """Returns the fastest engine that accepts the call, or None. Unless known speeds say otherwise, a fixed engine
    is faster than an open one, and then the daemon's order counts."""
    able = [
        Served(engine, profile, known(engine.speeds, call, gpu))
        for engine in engines
        if (profile := calls.serving(engine.profiles, call)) is not None and not is_beyond(engine, call, gpu)
    ]
    if not able:
        return None
    # The first among equals.
    likely = min(able, key=lambda served: not served.engine.is_fixed)
    if likely.milliseconds is None:
        return likely
    timed = [(served.milliseconds, served) for served in able if served.milliseconds is not None]
    return min(timed, key=lambda each: each[0])[1]


def is_beyond(engine: Engine, call: Call, gpu: str | None) -> bool:
    """Whether the call is larger than what the engine computes correctly on this GPU."""
    return any(limit.gpu == gpu and call.width * call.height > limit.pixels for limit in engine.limits)


def known(speeds: Sequence[Speed], call: Call, gpu: str | None) -> float | None:
    """Returns the milliseconds of the speed on this GPU whose shape is nearest to the call's, or None."""
    def distance(speed: Speed) -> float:
        ratio = speed.width * speed.height / (call.width * call.height)
        return max(ratio, 1 / ratio)

    alike = [
        speed
        for speed in speeds
        if speed.gpu == gpu and speed.batch == call.batch and distance(speed) <= ALIKE
    ]
    nearest = min(alike, key=lambda speed: (distance(speed), abs(speed.tokens - call.tokens)), default=None)
    return nearest.milliseconds if nearest else None


def slower(engine: Engine, call: Call, timing: Timing) -> str:
    """Says why PyTorch computes a call though an engine could."""
    return (
        f"{call}: as this web UI runs it, PyTorch takes {timing.torch:.1f} ms for a call like this on this GPU, and "
        f"engine {engine.id[:12]} {timing.engine:.1f} ms"
    )
