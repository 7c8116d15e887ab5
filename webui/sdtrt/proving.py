"""Compares engines with PyTorch in the web UI's own calls."""
from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import machine, proofs
from .calls import Call
from .choosing import Chooser
from .host import Host
from .index import Engine
from .look import is_finite
from .options import Catalogue
from .subject import Subject

if TYPE_CHECKING:
    import torch

    Inputs = dict[str, torch.Tensor]


# The error depends on the call. An engine just past the bound, by less than this factor, is judged by the median of so
# many calls.
NEAR, CALLS = 2.0, 3


class Prover:
    """Compares an engine with PyTorch in its first calls, unless that proved impossible in this job.

    `say` prints a line for the user."""

    def __init__(self, catalogue: Catalogue, chooser: Chooser, host: Host, say: Callable[[str], None]) -> None:
        self.catalogue, self.chooser, self.host, self._say = catalogue, chooser, host, say
        self.start_job()

    def start_job(self) -> None:
        """Lets what could not be compared be tried again."""
        self.is_on = True
        # By engine and UNet, those of which one was near the bound.
        self._errors: dict[tuple[str, str], list[float]] = {}

    def prove(
        self,
        entry: Engine,
        subject: Subject,
        call: Call,
        latent: torch.Tensor,
        inputs: Inputs,
        in_torch: Callable[[Inputs], torch.Tensor],
    ) -> torch.Tensor:
        """Computes the call `in_torch` too, and stores the error. Returns the result to use."""
        approximation = self.host.approximation(from_file=not entry.is_shared)
        if approximation is not None:
            self.is_on = False
            self._say(f"the engine is not compared with PyTorch: {approximation}; it will be in the next job")
            return latent
        try:
            expected = in_torch(inputs)
            error = relative_error(latent, expected)
        except RuntimeError as problem:
            # torch's OutOfMemoryError is one, and its message says so.
            if "out of memory" not in str(problem):
                raise
            self.is_on = False
            self._say("the engine is not compared with PyTorch: out of memory; it will be in the next job")
            return latent
        if not is_finite(expected):
            # Nothing can be compared with PyTorch's own result.
            self.is_on = False
            return latent
        bound = self.catalogue.index.bound
        errors = self._errors.setdefault((entry.id, subject.id), [])
        errors.append(error)
        if bound < error < NEAR * bound and len(errors) < CALLS:
            return expected
        middle = error if math.isnan(error) else statistics.median(errors)
        self._record(entry, subject, call, list(inputs["sample"].shape), middle)
        if proofs.holds(middle, bound):
            return latent if proofs.holds(error, bound) else expected
        self.chooser.failed[entry.id] = f"it was {middle:.1e} off PyTorch"
        subject.answers.clear()
        return expected

    def _record(self, entry: Engine, subject: Subject, call: Call, shape: list[int], error: float) -> None:
        about, bound = machine.about(), self.catalogue.index.bound
        more = {"shape": shape, "tokens": call.tokens, "time": int(time.time())}
        try:
            self.chooser.place.proofs.record(entry.id, subject.id, error, bound, about | more)
        except OSError as problem:
            self._say(f"the comparison with PyTorch could not be saved: {problem}")
        used = "and used" if proofs.holds(error, bound) else f"above {bound:.0e}, and not used"
        self._say(f"engine {entry.id[:12]} is {error:.1e} off PyTorch, {used}")


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """‖found − expected‖ / ‖expected‖; NaN if any value is. Waits for the GPU."""
    found, expected = found.float(), expected.float()
    return float(((found - expected).norm() / expected.norm()).item())
