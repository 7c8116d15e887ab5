"""What engines did in a job, for the line that says so. Pure."""
from __future__ import annotations

from collections.abc import Callable

from .calls import Call
from .index import Engine


class Span:
    """Calls of one engine at one size and batch, one after the other."""

    def __init__(self) -> None:
        # How many intervals between two calls were measured, and how long they took.
        self.intervals, self.seconds = 0, 0.0

    @property
    def rate(self) -> float | None:
        """Returns calls a second."""
        return self.intervals / self.seconds if self.seconds else None


class Tally:
    """Counts from the start of one call to that of the next: that is what a person sees in the progress bar, the
    sampler's own work included; but not from the first call of a pass, which loads what it needs."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, int, int], tuple[Engine, Call, Span]] = {}
        # The last call, when it started, and whether it was the first of a pass.
        self._last: tuple[Engine, Call, float, bool] | None = None

    def start_job(self) -> None:
        """Forgets the last job."""
        self._spans.clear()
        self._last = None

    def start_pass(self) -> None:
        """The time between two passes is nobody's."""
        self._last = None

    stop = start_pass

    def note(self, entry: Engine, call: Call, now: float) -> None:
        """Counts a call that an engine computes and that started `now`, in seconds."""
        kind = entry.id, call.width, call.height
        _, _, span = self._spans.setdefault(kind, (entry, call, Span()))
        goes_on = self._last is not None and self._last[:2] == (entry, call)
        if self._last is not None and goes_on and not self._last[3]:
            span.intervals += 1
            span.seconds += now - self._last[2]
        self._last = entry, call, now, not goes_on

    def line(self, gain: Callable[[Engine, Call], float | None]) -> str:
        """Returns the line, which is empty if no engine served. `gain` says how much faster than PyTorch an engine
        computes a call, if that is known."""
        return "; ".join(
            ", ".join(filter(None, (
                f"engine {entry.id[:12]} at {call.width}×{call.height}",
                f"{span.rate:.{0 if span.rate >= 10 else 1}f} it/s" if span.rate else "",
                f"{times:.1f} × PyTorch" if (times := gain(entry, call)) else "",
            )))
            for entry, call, span in self._spans.values()
        )
