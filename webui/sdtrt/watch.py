"""A pass whose outputs are checked one call later, and that can be computed again."""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .calls import Call
from .index import Engine
from .look import Look
from .subject import Subject

if TYPE_CHECKING:
    import torch


# How often a pass is repeated before each output is checked at once.
REPEATS = 3


class Served(NamedTuple):
    """A computed call, to be checked later."""

    # None if PyTorch computed it.
    entry: Engine | None
    subject: Subject
    call: Call
    # Its number in the pass.
    number: int


class Repeat(BaseException):
    """Demands that a pass be computed again. Not an Exception: the web UI ignores some of those. `found` has each
    call at which an engine has failed so far."""

    def __init__(self, found: tuple[Served, ...]) -> None:
        super().__init__("an engine gave NaN or infinity")
        self.found = found


class Watch:
    """A pass that can be computed again, with the failures that were `found` in earlier attempts."""

    def __init__(self, found: Iterable[Served] = ()) -> None:
        self.found = tuple(found)
        self.calls = 0
        # The previous call and its check.
        self.last: tuple[Served, Look] | None = None
        # The last of the calls that PyTorch computed in place of an engine, and whether all of them are finite.
        self.in_torch, self.torch_is_finite = 0, True

    def later(
        self, x: torch.Tensor, latent: torch.Tensor, entry: Engine | None, subject: Subject, call: Call
    ) -> None:
        """Has the latent that was computed of `x` checked one call later."""
        self.last = Served(entry, subject, call, self.calls), Look(x, latent)
