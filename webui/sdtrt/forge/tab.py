"""Forge's tab 'TensorRT'."""
from __future__ import annotations

from typing import TYPE_CHECKING

from ..index import IndexFile
from ..options import Catalogue
from ..tab.last import LastJob
from .front import NAME, loaded_model

if TYPE_CHECKING:
    from .jobs import Jobs


class Desk:
    """What the tab needs from Forge."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs, self.last, self.front_end = jobs, LastJob(), NAME

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
