"""Where the daemon's index is, and what is kept beside it."""
from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from . import kernels
from .machine import Machine
from .proofs import Proofs
from .unusable import Unusable

# Written by `sdtrtctl webui install` beside this package.
POINTER = Path(__file__).parent.parent / "sdtrt.json"


def data_folder(pointer: Path = POINTER, environment: Mapping[str, str] = os.environ) -> Path:
    """The daemon's data folder: what the environment says, what `install` wrote down, or else the one by default.
    In a container the daemon's path may lead nowhere, and then the next of them counts that leads somewhere."""
    folders = []
    if environment.get("SDTRT_DATA_DIR"):
        folders.append(Path(environment["SDTRT_DATA_DIR"]))
    with suppress(OSError, ValueError, KeyError, TypeError):
        folders.append(Path(json.loads(pointer.read_text("utf-8"))["data_dir"]))
    home = environment.get("XDG_DATA_HOME") or Path(environment.get("HOME", "/"), ".local/share")
    folders.append(Path(home, "sdtrt"))
    return next((folder for folder in folders if folder.is_dir()), folders[0])


class Place:
    """The daemon's data folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.index = self.folder / "index.json"
        self.shapes = self.folder / "shapes"
        self.proofs = Proofs(self.folder / "proofs")
        self.unusable = Unusable(self.folder / "unusable")

    def cache(self, engine: str, machine: Machine) -> Path:
        """The file of an engine's kernels, as compiled for this machine's GPU and driver."""
        # An engine is at work, so there are a GPU and the bindings.
        assert machine.gpu and machine.tensorrt
        name = kernels.folder(machine.gpu, kernels.driver(), machine.tensorrt)
        return self.folder / "kernels" / name / f"{engine}.cache"
