"""Loads the engine for a checkpoint while the web UI loads the checkpoint, so that nobody waits for both."""
from __future__ import annotations

from functools import partial

from . import machine
from .calls import POSITIONS_PER_PIECE, Call
from .host import on_its_gpu
from .unet import Unet


class Ahead:
    """Guesses what will compute; a wrong guess costs a wasted engine, and the right one is loaded in its call."""

    def __init__(self, unet: Unet) -> None:
        self._unet, self.host = unet, unet.host
        # Of the job that comes, or else the last one.
        self._call: Call | None = None

    def note(self, width: int, height: int, images: int) -> None:
        """A job of this size begins, which may load a checkpoint. Its prompts are taken to be short."""
        # With the prompt and the negative prompt.
        self._call = Call(width, height, 2 * images, POSITIONS_PER_PIECE)

    @on_its_gpu
    def begin(self, path: str) -> None:
        """The web UI is about to load the checkpoint in this file."""
        if machine.missing():
            return
        catalogue, chooser = self._unet.catalogue, self._unet.chooser
        # The daemon may have built its engine just now.
        catalogue.file.refresh()
        checkpoint = catalogue.checkpoint(path)
        if checkpoint is not None:
            self._unet.gpu.load_ahead(partial(chooser.likely, catalogue.index, checkpoint, self._call))
