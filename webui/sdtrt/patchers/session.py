"""Engines on one GPU, for whatever a front end's patchers execute there."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..calls import PIXELS_PER_LATENT
from ..changes import Changes
from ..gpu import Gpu
from ..loras import State
from ..options import Catalogue
from ..place import Place
from ..shapes import Shape
from ..unet import Unet
from . import controls, layers, patches

if TYPE_CHECKING:
    import torch

    from ..packed import Source


class Front(Protocol):
    """What differs between front ends with patchers."""

    # The packages that its own layers are from.
    packages: tuple[str, ...]

    def is_own(self, file: str) -> bool:
        """Whether code in this file comes with torch, Python or the front end."""

    def is_extension(self, file: str) -> bool:
        """Whether a file belongs to an extension."""

    def say(self, line: str) -> None:
        """Prints a line for the user."""

    def name(self) -> str:
        """Returns the front end's name, and how it computes attention, on which PyTorch's times depend."""

    def path(self, patcher: Any) -> str | None:
        """Returns the file that a patcher's model was loaded from, if it is known."""

    def source(self, patcher: Any, unet: torch.nn.Module) -> Source | None:
        """Returns where a UNet's patched weights are fetched from; None if they lie in its modules."""

    def approximation(self) -> str | None:
        """Returns why PyTorch's own results are not exact, in words."""


@dataclass
class Run:
    """One call of a UNet."""

    patcher: Any
    unet: torch.nn.Module
    # The front end's own method, called with the latent, timesteps, context, y, control and options.
    original: Callable[..., torch.Tensor]
    control: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)

    def in_torch(
        self, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor, y: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self.original(x, timesteps, context, y, controls.copied(self.control), self.options, **self.others)


class Session:
    """The host of the engines on the GPU with this number. One call ends before the next one starts."""

    def __init__(self, catalogue: Catalogue, place: Place, number: int, front: Front) -> None:
        self.number, self.front = number, front
        self.unet = Unet(catalogue, place, Gpu(place, front.say), self)
        self._changes = Changes(front.is_own, front.is_extension)
        self._run: Run | None = None
        # Of the latent: height and width.
        self._sides: tuple[int, ...] = ()

    @property
    def run(self) -> Run:
        assert self._run is not None, "the host is asked only during a call"
        return self._run

    def end_job(self, restores: bool = True) -> dict[str, list[Shape]]:
        """Ends a job, and returns its shapes. `restores` the layout of the weights if the next one may be computed by
        PyTorch without us, such as in a workflow without our node."""
        return self.unet.end_job(restores)

    def start_pass(self) -> None:
        """Forgets the model: it may have been changed or moved since."""
        self.unet.start_pass()

    def compute(
        self, run: Run, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor, y: torch.Tensor | None
    ) -> torch.Tensor:
        """Returns the latent of one call, by an engine or by PyTorch."""
        self._run, self._sides = run, tuple(x.shape[2:])
        try:
            is_read = lambda name, value: value is not None and name not in controls.UNREAD
            given = {name: value for name, value in run.others.items() if is_read(name, value)}
            if controls.obstacle(run.control) is None:
                blocks = len(getattr(run.unet, "input_blocks", ()))
                given["residuals"] = controls.residuals(run.control, blocks)
            return self.unet.forward(x, timesteps, context, y, **given)
        finally:
            # Nothing here keeps a model alive.
            self._run = None

    def say(self, line: str) -> None:
        self.front.say(line)

    def front_end(self) -> str:
        return self.front.name()

    def loaded_path(self) -> str | None:
        return self.front.path(self.run.patcher)

    def torch_unet(self) -> torch.nn.Module:
        return self.run.unet

    def torch_forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        # The front end's own UNet is given the same residuals as `control`.
        known = {name: value for name, value in kwargs.items() if name not in (*self.run.others, "residuals")}
        return self.run.in_torch(*args, **known)

    def gpu(self) -> int | None:
        return self.number

    def is_awake(self) -> bool:
        """Front ends with patchers load a model before they call it."""
        return True

    def wake(self) -> None:
        pass

    def wake_for_later(self) -> None:
        pass

    def lora_state(self) -> State:
        return patches.state(self.run.patcher)

    def loras_touch_unet(self) -> bool:
        return patches.touch_unet(self.run.patcher)

    def apply_networks(self) -> None:
        """The patcher has done so when it was loaded."""

    def source(self) -> Source | None:
        return self.front.source(self.run.patcher, self.run.unet)

    def obstacle(self) -> str | None:
        control, options = self.run.control, self.run.options
        return controls.obstacle(control) or patches.obstacle(self.run.patcher, options) or self._rounded()

    def _rounded(self) -> str | None:
        """Engines convolve before they cut off a row that is too many, as A1111 does; UNets of front ends with patchers
        enlarge to the right size first, so that their edge is another."""
        step = layers.step(self.run.unet)
        if all(side % step == 0 for side in self._sides):
            return None
        return f"the image's sides are no multiples of {step * PIXELS_PER_LATENT}"

    def altered(self) -> str | None:
        special = layers.special(self.run.unet)
        if special is not None:
            return special
        layer = layers.altered(self.run.unet, self.front.packages)
        if layer is not None:
            return f"another extension works at {layer} of the UNet"
        return self._changes.look(self.run.unet)

    def replaced(self) -> str | None:
        return self._changes.look_again()

    def approximation(self, from_file: bool) -> str | None:
        return self.front.approximation()
