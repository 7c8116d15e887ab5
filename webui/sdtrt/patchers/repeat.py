"""Repeats a pass when a check, one call later, shows that an engine failed in it."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..watch import REPEATS, Repeat, Watch

if TYPE_CHECKING:
    from .session import Session

Result = TypeVar("Result")


def watched(session: Session, sample: Callable[[], Result]) -> Result:
    """Returns what a pass samples, which starts with the random numbers that it would have started with each time."""
    saved = random_states(session.number)
    found: tuple[Any, ...] = ()
    for last in [False] * REPEATS + [True]:
        session.start_pass()
        try:
            with session.unet.watched(None if last else Watch(found)):
                return sample()
        except Repeat as repeat:
            found = repeat.found
        put_random_states(session.number, saved)
    raise AssertionError("nothing demands a repetition without a watch")


def random_states(gpu: int) -> tuple[Any, Any]:
    """Returns torch's random states, for the CPU and a GPU."""
    import torch

    return torch.get_rng_state(), torch.cuda.get_rng_state(gpu)


def put_random_states(gpu: int, states: tuple[Any, Any]) -> None:
    import torch

    cpu, there = states
    torch.set_rng_state(cpu)
    torch.cuda.set_rng_state(there, gpu)
