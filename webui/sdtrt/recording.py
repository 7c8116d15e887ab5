"""Records what a ControlNet adds to a UNet. Its own forward computes the control nets and then walks the UNet's blocks
by itself; recorders in their place take note of what each is given, and no values flow between them.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch

from .residuals import MIDDLE, SKIP, Residuals

ADD = (torch.add, torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.__radd__)
CAST = (torch.Tensor.type, torch.Tensor.to)


class Unexpected(BaseException):
    """What no residual control net does, in words. Not an Exception: somebody's own handler must not see it."""


class Blank(torch.Tensor):
    """Features without values, which know what was added to them and what they are joined of."""

    # Those that something was added to; itself if nothing was.
    origin: Blank
    added: torch.Tensor | None
    parts: tuple[torch.Tensor, ...]

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, arguments: Sequence[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        if function in ADD and not named:
            one, other = arguments
            if isinstance(one, Blank) != isinstance(other, Blank):
                return plus(one, other) if isinstance(one, Blank) else plus(other, one)
        if function in CAST:
            return arguments[0]
        if function is torch.cat and all(isinstance(part, Blank) for part in arguments[0]):
            first = arguments[0][0]
            joined = blank((first.shape[0], sum(part.shape[1] for part in arguments[0]), *first.shape[2:]), first)
            joined.parts = tuple(arguments[0])
            return joined
        # Whatever it computes has no marks, and no recorder takes it.
        with torch._C.DisableTorchFunctionSubclass():
            return function(*arguments, **(named or {}))


def blank(shape: Sequence[int], like: torch.Tensor) -> Blank:
    with torch._C.DisableTorchFunctionSubclass():
        made = like.new_zeros(()).expand(tuple(shape)).as_subclass(Blank)
    made.origin, made.added, made.parts = made, None, ()
    return made


def plus(one: Blank, other: Any) -> Blank:
    if not isinstance(other, torch.Tensor):
        raise Unexpected(f"{other} is added to the UNet's features")
    sum_ = blank(one.shape, one)
    sum_.origin = one.origin
    sum_.added = other if one.added is None else one.added + other
    return sum_


class Recorded(NamedTuple):
    """A call of the UNet."""

    sample: torch.Tensor
    context: torch.Tensor
    y: torch.Tensor | None
    # None if nothing is added.
    residuals: Residuals | None


class Recorder:
    """Stands in for the blocks of a UNet whose residuals have these `shapes`, during one call. `compute` returns the
    latent of what was recorded; before it, the blocks are back in their place."""

    def __init__(
        self, unet: torch.nn.Module, shapes: Mapping[str, Sequence[int]], compute: Callable[[Recorded], torch.Tensor]
    ) -> None:
        self._unet, self._shapes, self._compute = unet, shapes, compute
        self._stack = ExitStack()
        self._blocks = len(shapes) - 1
        # What the blocks have returned so far.
        self._skips: list[Blank] = []
        self._last: Blank | None = None
        self._outputs = 0
        self._sample: torch.Tensor | None = None
        self._context: torch.Tensor | None = None
        self._y: torch.Tensor | None = None
        self._added: dict[str, torch.Tensor | None] = {}
        # Whether all was recorded, so that what fails afterwards is no fault of recording.
        self.is_done = False

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The UNet's blocks are the recorders, until the latent is computed."""
        with self._stack:
            self._stack.enter_context(replaced(self._unet, self._parts()))
            yield

    def _parts(self) -> dict[str, Any]:
        if any(len(getattr(self._unet, name)) != self._blocks for name in ("input_blocks", "output_blocks")):
            raise Unexpected("the UNet's blocks are no pairs")
        numbered = lambda record: [partial(record, number) for number in range(self._blocks)]
        return {
            "time_embed": lambda embedding: embedding,
            "label_emb": self._label,
            "input_blocks": numbered(self._input),
            "middle_block": self._middle,
            "output_blocks": numbered(self._output),
            "out": self._out,
        }

    def _label(self, y: torch.Tensor) -> torch.Tensor:
        self._y = y
        return y.new_zeros(())

    def _input(self, number: int, h: torch.Tensor, embedding: Any, context: torch.Tensor) -> Blank:
        if number == 0 and not self._skips:
            self._sample, self._context = h, context
        elif number != len(self._skips) or h is not self._skips[-1] or context is not self._context:
            raise Unexpected(f"something is added inside of the encoder, before block {number}")
        assert self._sample is not None
        self._skips.append(blank(self._shapes[SKIP.format(number)], self._sample))
        return self._skips[-1]

    def _middle(self, h: torch.Tensor, embedding: Any, context: torch.Tensor) -> Blank:
        if len(self._skips) != self._blocks or h is not self._skips[-1] or context is not self._context:
            raise Unexpected("something is added inside of the encoder, before the middle block")
        self._last = blank(self._shapes[MIDDLE], h)
        return self._last

    def _output(self, number: int, joined: torch.Tensor, embedding: Any, context: torch.Tensor) -> Blank:
        if number != self._outputs or context is not self._context or not isinstance(joined, Blank):
            raise Unexpected(f"something else than a residual comes to output block {number}")
        skip = self._blocks - 1 - number
        if len(joined.parts) != 2:
            raise Unexpected(f"output block {number} is given something else than features and a skip connection")
        h, other = joined.parts
        is_known = isinstance(h, Blank) and h.origin is self._last and (number == 0 or h.added is None)
        if not is_known or not isinstance(other, Blank) or other.origin is not self._skips[skip]:
            raise Unexpected(f"something else than a residual is added before output block {number}")
        assert isinstance(h, Blank)
        if number == 0:
            self._added[MIDDLE] = h.added
        self._added[SKIP.format(skip)] = other.added
        self._outputs += 1
        # In the size of the next one's skip connection, so that nobody changes it.
        self._last = blank(self._shapes[SKIP.format(max(skip - 1, 0))], h)
        return self._last

    def _out(self, h: torch.Tensor) -> torch.Tensor:
        if self._outputs != self._blocks or h is not self._last:
            raise Unexpected("something is added before the UNet's output")
        assert self._sample is not None and self._context is not None
        skips = [self._added[SKIP.format(number)] for number in range(self._blocks)]
        residuals = Residuals.of(skips, self._added[MIDDLE])
        self._stack.close()
        self.is_done = True
        return self._compute(Recorded(self._sample, self._context, self._y, residuals))


@contextmanager
def replaced(module: torch.nn.Module, parts: Mapping[str, Any]) -> Iterator[None]:
    """A module's parts are these meanwhile, for whoever looks them up by name. They hide its own, which stay in place.
    """
    own = vars(module)
    hidden = own.keys() & parts.keys()
    if hidden:
        raise Unexpected(f"somebody has replaced the UNet's {min(hidden)}")
    own.update(parts)
    try:
        yield
    finally:
        for name in parts:
            own.pop(name, None)


@contextmanager
def added(unet: torch.nn.Module, residuals: Residuals | None) -> Iterator[None]:
    """The UNet's own forward adds these residuals meanwhile."""
    if residuals is None:
        yield
        return
    with ExitStack() as stack:
        blocks = list(unet.output_blocks)
        for block, residual in zip(reversed(blocks), residuals.skips, strict=True):
            if residual is not None:
                handle = block.register_forward_pre_hook(lambda _, given, residual=residual: to_skip(given, residual))
                stack.callback(handle.remove)
        middle = residuals.middle
        if middle is not None:
            stack.callback(unet.middle_block.register_forward_hook(lambda _, given, h: h + middle).remove)
        yield


def to_skip(given: tuple[Any, ...], residual: torch.Tensor) -> tuple[Any, ...]:
    """Adds a residual to the last channels of the features that an output block is given."""
    joined, *others = given
    channels = residual.shape[1]
    skip = joined[:, -channels:] + residual
    return torch.cat([joined[:, :-channels], skip], dim=1), *others
