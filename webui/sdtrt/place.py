"""Where the daemon's index and the files beside it are."""
from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from . import kernels
from .machine import Machine
from .proofs import Proofs
from .timings import Timings
from .unusable import Unusable

# Written by `sdtrtctl webui install` beside this package.
POINTER = Path(__file__).parent.parent / "sdtrt.json"


def data_folder(pointer: Path = POINTER, environment: Mapping[str, str] = os.environ) -> Path:
    """Returns the daemon's data folder: the environment's, the one that `install` recorded, or the default one.
    Inside a container the daemon's path may not exist: the first of them that exists is used."""
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
        self.timings = Timings(self.folder / "timings")
        self.unusable = Unusable(self.folder / "unusable")

    def cache(self, engine: str, machine: Machine) -> Path:
        """Returns the file of an engine's kernels for this machine's GPU and driver."""
        # An engine is running, so there are a GPU and the bindings.
        assert machine.gpu and machine.tensorrt
        name = kernels.folder(machine.gpu, kernels.driver(), machine.tensorrt)
        return self.folder / "kernels" / name / f"{engine}.cache"
