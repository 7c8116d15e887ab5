"""Sizes at which an engine's output was not finite though PyTorch's was: one file for each engine and UNet, which
the daemon reads too.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from .loras import State
from .proofs import write

VERSION = 1


class Size(NamedTuple):
    """A call that failed: where and when."""

    gpu: str
    driver: str
    width: int
    height: int
    batch: int
    tokens: int
    time: int

    @classmethod
    def of(cls, tree: dict[str, Any]) -> Size:
        """Makes one from a file's entry."""
        number = lambda name: int(tree[name])
        shape = map(number, ("width", "height", "batch", "tokens", "time"))
        return cls(str(tree["gpu"]), str(tree["driver"]), *shape)

    @property
    def pixels(self) -> int:
        return self.width * self.height


class Unusable:
    """The folder `unusable` beside the index. What can't be written is kept until the web UI ends.

    `variant` distinguishes weights of the same UNet. It is None for those in a file: only they are the same next
    time, so only their sizes are stored."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._known: dict[tuple[str, str, State | None], list[Size]] = {}

    def path(self, engine: str, unet: str) -> Path:
        return self.folder / f"{engine}-{unet[:12]}.json"

    def least(
        self, engine: str, unet: str, variant: State | None, gpu: str | None, driver: str
    ) -> Size | None:
        """Returns the smallest size that failed on this GPU model with this driver, or None. Larger sizes count as
        failed too, whatever their batch and tokens: what overflows are sums over an image's positions."""
        here = (size for size in self._sizes(engine, unet, variant) if (size.gpu, size.driver) == (gpu, driver))
        return min(here, key=lambda size: size.pixels, default=None)

    def add(self, engine: str, unet: str, variant: State | None, size: Size) -> None:
        """Adds a size that failed; raises OSError if it can't be stored."""
        sizes = [*self._sizes(engine, unet, variant), size]
        self._known[engine, unet, variant] = sizes
        if variant is not None:
            return
        # Another web UI may have written its own meanwhile.
        kept = dict.fromkeys([*self._read(engine, unet), *sizes])
        tree = {"version": VERSION, "engine": engine, "unet": unet, "sizes": [each._asdict() for each in kept]}
        write(self.path(engine, unet), json.dumps(tree, indent=1).encode())

    def _sizes(self, engine: str, unet: str, variant: State | None) -> list[Size]:
        key = engine, unet, variant
        if variant is None and key not in self._known:
            self._known[key] = self._read(engine, unet)
        return self._known.get(key, [])

    def _read(self, engine: str, unet: str) -> list[Size]:
        try:
            tree = json.loads(self.path(engine, unet).read_text("utf-8"))
            if (tree["version"], tree["engine"], tree["unet"]) != (VERSION, engine, unet):
                return []
            return [Size.of(size) for size in tree["sizes"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []
