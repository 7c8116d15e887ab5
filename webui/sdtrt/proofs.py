"""Comparisons of engines with PyTorch: one file for each engine and UNet, which the daemon reads. A UNet that is
in no file has its signature as id.
"""
from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

VERSION = 1


class Proofs:
    """The folder `proofs` beside the index. What can't be written is kept until the web UI ends."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.known: dict[tuple[str, str], dict[str, Any] | None] = {}

    def path(self, engine: str, unet: str) -> Path:
        return self.folder / f"{engine}-{unet[:12]}.json"

    def error(self, engine: str, unet: str) -> float | None:
        """Returns the measured relative error, or None if there is none."""
        key = (engine, unet)
        if key not in self.known:
            self.known[key] = self._read(*key)
        seen = self.known[key]
        return seen["relative_error"] if seen else None

    def _read(self, engine: str, unet: str) -> dict[str, Any] | None:
        try:
            tree: dict[str, Any] = json.loads(self.path(engine, unet).read_text("utf-8"))
            if tree["unet"] != unet:
                return None
            # JSON has no NaN: it is written as null.
            error = tree["relative_error"]
            return tree | {"relative_error": math.nan if error is None else error}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def record(self, engine: str, unet: str, error: float, bound: float, about: dict[str, Any]) -> None:
        """Stores an error, the bound and other figures; raises OSError if the folder can't be written."""
        self.known[engine, unet] = about | {"relative_error": error}
        number = error if math.isfinite(error) else None
        tree = {"version": VERSION, "engine": engine, "unet": unet, "relative_error": number}
        write(self.path(engine, unet), json.dumps(tree | {"bound": bound} | about, indent=1).encode())


def holds(error: float, bound: float) -> bool:
    """Whether an engine with this relative error against PyTorch may be used. One with NaN may not."""
    return error <= bound


def write(path: str | Path, data: bytes) -> None:
    """Writes a temporary file, syncs it and renames it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # Readable like any other file; temporary files are private.
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
