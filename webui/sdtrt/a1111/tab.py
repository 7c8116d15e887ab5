"""A1111's tab 'TensorRT'."""
from __future__ import annotations

from .. import a1111
from ..tab.last import LastJob
from ..tab.page import Tab
from . import hooks


class Desk:
    """What the tab needs from A1111."""

    def __init__(self):
        self.last, self.front_end = LastJob(), a1111.NAME

    @property
    def index_file(self):
        return hooks.index_file

    @property
    def catalogue(self):
        return hooks.catalogue

    def loaded_path(self):
        return a1111.loaded_path()


desk = Desk()
page = Tab(desk)
