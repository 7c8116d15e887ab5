"""The UNet that is computed."""
from __future__ import annotations

from weakref import ref


class Subject:
    """The UNet that is computed, with what was found out about it in this pass."""

    def __init__(self, unet, networks):
        self.unet, self.networks = ref(unet), networks
        self.signature = self.checkpoint = None
        # Parameters that a LoRA has added.
        self.new = ()
        self.with_loras = False
        # Whether its weights are yet to be looked at in detail.
        self.fresh = True
        # Why no engine can read them, once that was found out.
        self.unfit = None
        # What serves each call.
        self.answers = {}

    @property
    def id(self):
        """What comparisons with PyTorch are known by."""
        return self.checkpoint.unet if self.checkpoint else self.signature

    @property
    def variant(self):
        """What its weights are known by beside the id; None for those that a file holds."""
        return None if self.checkpoint and not self.with_loras else self.networks
