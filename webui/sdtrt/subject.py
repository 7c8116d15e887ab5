"""The UNet that is computed."""
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
    """The UNet that is computed, with what was found out about it in this pass."""

    def __init__(self, unet: torch.nn.Module, networks: State) -> None:
        self.unet, self.networks = ref(unet), networks
        # Empty until it was looked at.
        self.signature = ""
        self.checkpoint: Checkpoint | None = None
        # Parameters that a LoRA has added.
        self.new: tuple[str, ...] = ()
        self.with_loras = False
        # Whether its weights are yet to be looked at in detail.
        self.fresh = True
        # Why no engine can read them, once that was found out.
        self.unfit: str | None = None
        # Takes a sample of its weights, which takes a moment.
        self.take_sample: Callable[[], str] | None = None
        self._sample: str | None = None
        # The engine and the optimization profile that serve each call.
        self.answers: dict[Call, tuple[Engine, int]] = {}

    @property
    def sample(self) -> str | None:
        """Of its weights as they are in memory, taken once."""
        if self._sample is None and self.take_sample is not None:
            self._sample = self.take_sample()
        return self._sample

    @property
    def id(self) -> str:
        """What comparisons with PyTorch are known by."""
        return self.checkpoint.unet if self.checkpoint else self.signature

    @property
    def variant(self) -> State | None:
        """What its weights are known by beside the id; None for those that a file holds."""
        return None if self.checkpoint and not self.with_loras else self.networks
