"""What engines were seen to compute: one file for each engine and UNet, for the daemon to read. A UNet that
no file holds has its signature for an id."""
from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path

from .calls import PIXELS_PER_LATENT
from .index import Speed

VERSION = 1

# Relative error against PyTorch past which an engine is not used.
BOUND = 2e-2


class Proofs:
    """The folder `proofs` beside the index. What can't be written is remembered until the end."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.known = {}

    def path(self, engine, unet):
        return self.folder / f"{engine}-{unet[:12]}.json"

    def error(self, engine, unet):
        """The relative error seen, or None if it was never looked at."""
        seen = self._seen(engine, unet)
        return seen and seen["relative_error"]

    def torch_speed(self, engine, unet):
        """What PyTorch took for the call that both computed, or None."""
        try:
            seen = self._seen(engine, unet)
            batch, _, height, width = seen["shape"]
            size = width * PIXELS_PER_LATENT, height * PIXELS_PER_LATENT
            return Speed(seen["gpu"], *size, batch, seen["tokens"], seen["torch_milliseconds"])
        except (KeyError, TypeError, ValueError):
            return None

    def _seen(self, engine, unet):
        key = (engine, unet)
        if key not in self.known:
            self.known[key] = self._read(*key)
        return self.known[key]

    def _read(self, engine, unet):
        try:
            tree = json.loads(self.path(engine, unet).read_text("utf-8"))
            if tree["unet"] != unet:
                return None
            # JSON has no NaN: what was not a number is written as null.
            error = tree["relative_error"]
            return tree | {"relative_error": math.nan if error is None else error}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def record(self, engine, unet, error, about):
        """Keeps an error and what else is known of it; raises OSError if the folder can't be written."""
        self.known[engine, unet] = about | {"relative_error": error}
        number = error if math.isfinite(error) else None
        tree = {"version": VERSION, "engine": engine, "unet": unet, "relative_error": number}
        write(self.path(engine, unet), json.dumps(tree | {"bound": BOUND} | about, indent=1).encode())


def holds(error):
    """Whether an engine of this error may be used. NaN may not."""
    return error <= BOUND


def write(path, data):
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
