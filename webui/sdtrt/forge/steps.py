"""Has a step of the sampler computed again when an engine turns out to have failed in it, so that what it gave is
looked at when the step's other work is enqueued, rather than waited for at once."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import ref

from ..patchers.repeat import put_random_states, random_states
from ..watch import REPEATS, Repeat, Watch

if TYPE_CHECKING:
    from ..patchers.session import Session

FORWARD = "forward"
# What a refiner may exchange in the arguments of the sampler's later steps.
CONDITIONS = ("cond", "uncond")


def watch(denoiser: Any, is_own: Callable[[str], bool], session: Callable[[], Session | None]) -> None:
    """Lets later steps of a sampler's denoiser be computed again. Does nothing to one that is not the web UI's own.
    `session` returns the engines that compute, if there are any."""
    forward = getattr(type(denoiser), FORWARD, None)
    code = getattr(forward, "__code__", None)
    if forward is None or code is None or not is_own(code.co_filename) or FORWARD in vars(denoiser):
        return

    # It would keep itself and its model alive.
    held = ref(denoiser)

    @wraps(forward)
    def watched(*args: Any, **kwargs: Any) -> Any:
        own, engines = held(), session()
        try:
            saved = None if engines is None else random_states(engines.number)
        except RuntimeError:
            # Each output is looked at at once.
            saved = None
        if engines is None or saved is None:
            return forward(own, *args, **kwargs)
        return repeated(own, engines, saved, forward, args, kwargs)

    setattr(denoiser, FORWARD, watched)


def repeated(
    denoiser: Any, session: Session, saved: Any, forward: Callable[..., Any], args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Computes a step until no engine fails in it. `saved` are the random states before it."""
    number = getattr(denoiser, "step", None)
    extra = getattr(getattr(denoiser, "sampler", None), "sampler_extra_args", None) or {}
    before = {name: extra.get(name) for name in CONDITIONS}
    found: tuple[Any, ...] = ()
    for last in [False] * REPEATS + [True]:
        try:
            with session.unet.watched(None if last else Watch(found)):
                return forward(denoiser, *args, **kwargs)
        except Repeat as repeat:
            found = repeat.found
        put_random_states(session.number, saved)
        with suppress(AttributeError):
            denoiser.step = number
        # A refiner that came in this step is there already.
        others = {name: extra[name] for name in CONDITIONS if extra.get(name) is not before[name]}
        kwargs = kwargs | {name: each for name, each in others.items() if name in kwargs}
    raise AssertionError("nothing demands a repetition without a watch")
