"""A pass whose results are looked at one call later, and that can be computed anew."""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .calls import Call
from .index import Engine
from .subject import Subject

if TYPE_CHECKING:
    from .look import Look


class Served(NamedTuple):
    """A call that was computed, to be looked at later."""

    # None if PyTorch computed it.
    entry: Engine | None
    subject: Subject
    call: Call
    # Which of the pass it is.
    number: int


class Repeat(BaseException):
    """That a pass is to be computed anew. Not an Exception: the web UI goes on after some of those. `found` has each
    call that an engine has failed at so far."""

    def __init__(self, found: tuple[Served, ...]) -> None:
        super().__init__("an engine gave NaN or infinity")
        self.found = found


class Watch:
    """A pass that can be computed anew, with what an engine has `found` to fail at when it was computed before."""

    def __init__(self, found: Iterable[Served] = ()) -> None:
        self.found = tuple(found)
        self.calls = 0
        # The call before this one, and the look at it.
        self.last: tuple[Served, Look] | None = None
        # The last call of those that PyTorch computed in place of an engine, and whether all of them are finite.
        self.in_torch, self.torch_is_finite = 0, True
