"""A1111's tab 'TensorRT'."""
from __future__ import annotations

from .. import a1111, machine
from ..tab import Tab
from . import hooks


class Desk:
    """What the tab needs from A1111."""

    @property
    def index_file(self):
        return hooks.index_file

    @property
    def catalogue(self):
        return hooks.catalogue

    def loaded_path(self):
        return a1111.loaded_path()

    def limits(self, checkpoint, engines):
        # Which GPU this is only matters if it is used.
        return {} if a1111.standstill() or machine.missing() else hooks.unet.limits(checkpoint, engines)


on_ui_tabs = Tab(Desk()).on_ui_tabs
