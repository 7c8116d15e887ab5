"""What the tab needs from a web UI."""
from __future__ import annotations

from typing import Protocol

from ..index import IndexFile
from ..options import Catalogue
from .last import LastJob


class Desk(Protocol):
    # What was said in the last job.
    last: LastJob
    # Its name, as in its timings.
    front_end: str

    @property
    def index_file(self) -> IndexFile:
        """The daemon's index."""

    @property
    def catalogue(self) -> Catalogue:
        """What is in it."""

    def loaded_path(self) -> str | None:
        """Returns the file of the loaded checkpoint."""
