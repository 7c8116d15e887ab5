"""The UNet that computes."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import ref

from .calls import Call
from .index import Checkpoint, Engine
from .loras import State

if TYPE_CHECKING:
    import torch


class Subject:
    """The UNet that computes, and what was found out about it in this pass."""

    def __init__(self, unet: torch.nn.Module, networks: State) -> None:
        self.unet, self.networks = ref(unet), networks
        # Empty until the first look.
        self.signature = ""
        self.checkpoint: Checkpoint | None = None
        # Parameters added by a LoRA.
        self.new: tuple[str, ...] = ()
        self.with_loras = False
        # Whether its weights are still to be examined in detail.
        self.fresh = True
        # Why no engine can read its weights, once known.
        self.unfit: str | None = None
        # Samples its weights, which takes a moment.
        self.take_sample: Callable[[], str] | None = None
        self._sample: str | None = None
        # The engine and the optimization profile for each call, without ControlNets and with them.
        self.answers: dict[tuple[Call, bool], tuple[Engine, int]] = {}

    @property
    def sample(self) -> str | None:
        """Returns the sample of its weights in memory, taken once."""
        if self._sample is None and self.take_sample is not None:
            self._sample = self.take_sample()
        return self._sample

    @property
    def id(self) -> str:
        """Returns the id in comparisons with PyTorch."""
        return self.checkpoint.unet if self.checkpoint else self.signature

    @property
    def variant(self) -> State | None:
        """Returns what distinguishes its weights besides the id; None for the weights in a file."""
        return None if self.checkpoint and not self.with_loras else self.networks
