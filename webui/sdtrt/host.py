"""What is asked of a front end while it works; the module a1111 answers for AUTOMATIC1111's web UI."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from . import machine

if TYPE_CHECKING:
    import torch

Args = ParamSpec("Args")
Result = TypeVar("Result")


class Host(Protocol):
    def say(self, line: str) -> None:
        """Tells a person."""

    def loaded_path(self) -> str | None:
        """The file of the checkpoint that is loaded."""

    def torch_unet(self) -> torch.nn.Module:
        """The UNet of the model that is loaded."""

    def torch_forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """A call computed by the front end's own UNet."""

    def gpu(self) -> int | None:
        """The number of the GPU that it works on; None for CUDA's current one."""

    def is_awake(self) -> bool:
        """Whether its UNet is on the GPU."""

    def wake(self) -> None:
        """Moves it there."""

    def wake_for_later(self) -> None:
        """Moves it there for calls to come, if nothing else will."""

    def networks(self) -> Sequence[Any]:
        """The LoRAs that are on."""

    def apply_networks(self) -> None:
        """Puts them into the UNet's weights."""

    def obstacle(self) -> str | None:
        """What is on that no engine has in it, for people."""

    def altered(self) -> str | None:
        """The part of the UNet that another extension has changed."""

    def approximation(self, from_file: bool) -> str | None:
        """Why PyTorch's result is no measure of an engine, for people."""


class Hosted(Protocol):
    host: Host


Self = TypeVar("Self", bound=Hosted)


def on_its_gpu(method: Callable[Concatenate[Self, Args], Result]) -> Callable[Concatenate[Self, Args], Result]:
    """Has the front end's GPU as CUDA's current one meanwhile."""

    @wraps(method)
    def there(self: Self, /, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        with machine.on(self.host.gpu()):
            return method(self, *args, **kwargs)

    return there
