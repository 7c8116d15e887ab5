"""What engines were seen to compute: one file for each engine and UNet, for the daemon to read. A UNet that
no file holds has its signature for an id."""
from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

from .calls import PIXELS_PER_LATENT
from .index import Speed

VERSION = 1


class Proofs:
    """The folder `proofs` beside the index. What can't be written is remembered until the end."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.known: dict[tuple[str, str], dict[str, Any] | None] = {}

    def path(self, engine: str, unet: str) -> Path:
        return self.folder / f"{engine}-{unet[:12]}.json"

    def error(self, engine: str, unet: str) -> float | None:
        """The relative error seen, or None if it was never looked at."""
        seen = self._seen(engine, unet)
        return seen["relative_error"] if seen else None

    def torch_speed(self, engine: str, unet: str) -> Speed | None:
        """What PyTorch took for the call that both computed, or None."""
        seen = self._seen(engine, unet)
        if seen is None:
            return None
        try:
            batch, _, height, width = seen["shape"]
            size = width * PIXELS_PER_LATENT, height * PIXELS_PER_LATENT
            return Speed(seen["gpu"], *size, batch, seen["tokens"], seen["torch_milliseconds"])
        except (KeyError, TypeError, ValueError):
            return None

    def _seen(self, engine: str, unet: str) -> dict[str, Any] | None:
        key = (engine, unet)
        if key not in self.known:
            self.known[key] = self._read(*key)
        return self.known[key]

    def _read(self, engine: str, unet: str) -> dict[str, Any] | None:
        try:
            tree: dict[str, Any] = json.loads(self.path(engine, unet).read_text("utf-8"))
            if tree["unet"] != unet:
                return None
            # JSON has no NaN: what was not a number is written as null.
            error = tree["relative_error"]
            return tree | {"relative_error": math.nan if error is None else error}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def record(self, engine: str, unet: str, error: float, bound: float, about: dict[str, Any]) -> None:
        """Keeps an error, the bound of those that are used, and what else is known of it; raises OSError if the
        folder can't be written."""
        self.known[engine, unet] = about | {"relative_error": error}
        number = error if math.isfinite(error) else None
        tree = {"version": VERSION, "engine": engine, "unet": unet, "relative_error": number}
        write(self.path(engine, unet), json.dumps(tree | {"bound": bound} | about, indent=1).encode())


def holds(error: float, bound: float) -> bool:
    """Whether an engine of this relative error against PyTorch may be used. NaN may not."""
    return error <= bound


def write(path: str | Path, data: bytes) -> None:
    """Writes a file aside, syncs and renames it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # Readable like any other file; temporary ones are private.
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
