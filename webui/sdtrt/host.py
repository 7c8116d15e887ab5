"""What engines need from a front end while they work: the package a1111 implements it for AUTOMATIC1111's web UI, and
`patchers` for front ends that have model patchers."""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from . import machine
from .loras import State

if TYPE_CHECKING:
    import torch

    from .packed import Source

Args = ParamSpec("Args")
Result = TypeVar("Result")


class Host(Protocol):
    def say(self, line: str) -> None:
        """Prints a line for the user."""

    def front_end(self) -> str:
        """Returns its name, and how it computes attention, on which PyTorch's times depend."""

    def loaded_path(self) -> str | None:
        """Returns the file of the loaded checkpoint."""

    def torch_unet(self) -> torch.nn.Module:
        """Returns the loaded model's UNet."""

    def torch_forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Computes a call with the front end's own UNet."""

    def gpu(self) -> int | None:
        """Returns the number of the GPU that it uses; None for CUDA's current one."""

    def is_awake(self) -> bool:
        """Whether its UNet is on the GPU."""

    def wake(self) -> None:
        """Moves its UNet to the GPU."""

    def wake_for_later(self) -> None:
        """Moves its UNet to the GPU for later calls, if nothing else will."""

    def lora_state(self) -> State:
        """Returns what determines the UNet's weights besides its file."""

    def loras_touch_unet(self) -> bool:
        """Whether any of that changes more than the text encoder."""

    def apply_networks(self) -> None:
        """Applies the active LoRAs to the UNet's weights."""

    def source(self) -> Source | None:
        """Returns where the UNet's weights are fetched from; None if engines read them where PyTorch does."""

    def obstacle(self) -> str | None:
        """Returns what is active that no engine includes, in words."""

    def altered(self) -> str | None:
        """Returns what another extension has changed in the UNet, or in what its layers use, in words."""

    def replaced(self) -> str | None:
        """Returns what it has replaced there since, in words. Takes no time."""

    def approximation(self, from_file: bool) -> str | None:
        """Returns why an engine can't be compared with PyTorch's result, in words."""


class Hosted(Protocol):
    host: Host


Self = TypeVar("Self", bound=Hosted)


def on_its_gpu(method: Callable[Concatenate[Self, Args], Result]) -> Callable[Concatenate[Self, Args], Result]:
    """Makes the front end's GPU CUDA's current one during the call."""

    @wraps(method)
    def there(self: Self, /, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        with machine.on(self.host.gpu()):
            return method(self, *args, **kwargs)

    return there
