"""Forge's tab 'TensorRT'."""
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import machine
from ..index import Checkpoint, Engine, IndexFile
from ..options import Catalogue
from ..tab import Tab
from ..unusable import Size
from .front import loaded_model

if TYPE_CHECKING:
    from .jobs import Jobs


class Desk:
    """What the tab needs from Forge."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    @property
    def index_file(self) -> IndexFile:
        return self.jobs.index_file

    @property
    def catalogue(self) -> Catalogue:
        return self.jobs.catalogue

    def loaded_path(self) -> str | None:
        info = getattr(loaded_model(), "sd_checkpoint_info", None)
        path: str | None = info and info.filename
        return path

    def limits(self, checkpoint: Checkpoint, engines: tuple[Engine, ...]) -> dict[str, Size]:
        number = current_gpu()
        return {} if number is None else self.jobs.session(number).unet.limits(checkpoint, engines)


def current_gpu() -> int | None:
    """Returns the number of the NVIDIA GPU that the web UI uses, if engines can."""
    torch = sys.modules.get("torch")
    if machine.missing() or torch is None or torch.version.cuda is None or not torch.cuda.is_available():
        return None
    number: int = torch.cuda.current_device()
    return number


def tab_of(jobs: Jobs) -> Any:
    """Returns what the web UI calls for its tabs."""
    return Tab(Desk(jobs)).on_ui_tabs
