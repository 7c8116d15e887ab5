"""TensorRT-RTX's runtime cache in a file: an engine's kernels, compiled for one GPU model and driver."""
from __future__ import annotations

import fcntl
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .card import Card, descriptions, moved
from .proofs import write

DRIVER = Path("/proc/driver/nvidia/version")
VERSION = re.compile(r"\d+(?:\.\d+)+")


def folder(gpu: str, driver: str, tensorrt: str) -> str:
    """Returns the name of the folder of these kernels, such as NVIDIA_H200-580.159.04-1.6.1.120."""
    return "-".join(re.sub(r"[^A-Za-z0-9._]", "_", part) for part in (gpu, driver, tensorrt))


def driver(path: Path = DRIVER, run: Callable[..., Any] = subprocess.run) -> str:
    """The version of NVIDIA's driver, or 'unknown'."""
    try:
        if found := VERSION.search(path.read_text("utf-8").splitlines()[0]):
            return found.group()
    except (OSError, IndexError):
        pass
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = VERSION.search(run(query, capture_output=True, text=True, timeout=10).stdout)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.group() if found else "unknown"


class Content(NamedTuple):
    """What tells caches with the same kernels. Their bytes differ at each writing, since there are addresses in them
    that mean nothing; and what was taken in is in what comes out, so that more kernels make it longer."""

    length: int
    descriptions: frozenset[bytes]

    @classmethod
    def of(cls, cache: bytes) -> Content:
        return cls(len(cache), descriptions(cache))


class KernelCache:
    """An execution context's runtime cache, and its file. `card` is the GPU that it is for."""

    def __init__(self, config: Any, path: str | Path | None, card: Card | None = None) -> None:
        self.path, self._card = Path(path) if path else None, card
        self.cache = config.create_runtime_cache()
        # What the file had, and which file that was.
        self._had: Content | None = None
        self._stamp: tuple[int, ...] | None = None
        self._take_in()
        config.set_runtime_cache(self.cache)
        # Whether it may have kernels that the file lacks.
        self.stale = False

    def save(self) -> None:
        """Writes new kernels to the file, and keeps those that others have written. If another process is writing
        at the moment, this waits for the next job instead. Raises OSError."""
        if not (self.path and self.stale):
            return
        found = bytes(self.cache.serialize())
        if self._had == Content.of(found) and self._stamp == stamp(self.path):
            self.stale = False
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(f"{self.path.name}.lock")) as is_ours:
            if not is_ours:
                return
            self._take_in()
            found = bytes(self.cache.serialize())
            if self._had != Content.of(found):
                write(self.path, found)
                self._had, self._stamp = Content.of(found), stamp(self.path)
            self.stale = False

    def _take_in(self) -> None:
        """Adds the file's kernels, as they are for this card. TensorRT rejects those of another GPU, driver or
        version."""
        self._had, self._stamp = None, stamp(self.path) if self.path else None
        try:
            data = self.path.read_bytes() if self.path else b""
        except OSError:
            return
        if data and self._card is not None:
            data = moved(data, self._card)
        # Only a plain False says that it was rejected.
        if data and self.cache.deserialize(data) is not False:
            self._had = Content.of(data)


def stamp(path: Path) -> tuple[int, ...] | None:
    """Returns what changes when a file is replaced; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Takes the lock if it is free, and yields whether it was."""
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
