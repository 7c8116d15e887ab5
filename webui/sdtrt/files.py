"""Whose content the file of the loaded model holds.

No other file is looked at: of the locations in the index any may be on a disk that hangs, and so may the loaded model's
own by now, which must not hold up the next picture."""
from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .index import Checkpoint, Index

# Seconds that the file of the loaded model is given to say what it is.
PATIENCE = 1.0


@dataclass(frozen=True)
class Look:
    """What lies at a path."""

    # Device, inode, size and time of change; None if nothing lies there.
    identity: tuple[int, ...] | None
    # Without links.
    real: str


def look_at(path: str, stat: Callable[[str], os.stat_result]) -> Look:
    try:
        found = stat(path)
        numbers = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
        identity = tuple(getattr(found, number, 0) for number in numbers)
    except OSError:
        identity = None
    return Look(identity, os.path.realpath(path))


class Files:
    """Tells checkpoints by their paths, and remembers whose content each path last held: a checkpoint that is moved
    while the web UI has it loaded is still the same one."""

    def __init__(self, stat: Callable[[str], os.stat_result] = os.stat, patience: float = PATIENCE) -> None:
        self._stat, self._patience = stat, patience
        self._last: dict[str, str] = {}
        self._index: Index | None = None
        self._by_id: dict[str, Checkpoint] = {}
        self._by_path: dict[str, Checkpoint] = {}
        # What lay at a path when it was first looked at with this index.
        self._first: dict[str, Look] = {}
        # Paths whose disks have not answered yet.
        self._hanging: set[str] = set()

    def named(self, index: Index, path: str) -> Checkpoint | None:
        """The checkpoint that the index has at this path, by the path alone."""
        self._read(index)
        return self._by_path.get(path)

    def held(self, index: Index, path: str) -> Checkpoint | None:
        """The checkpoint whose content the file at this path holds, which is that of the loaded model."""
        self._read(index)
        look = self._look(path)
        if look is not None:
            first = self._first.setdefault(path, look)
            found = self._by_path.get(path) or self._by_path.get(look.real)
            if found is not None and look.identity is not None and look == first:
                self._last[path] = found.id
            elif look.identity is not None:
                # Another file now.
                self._last.pop(path, None)
        return self._by_id.get(self._last.get(path, ""))

    def _look(self, path: str) -> Look | None:
        """None if the disk does not answer."""
        if path in self._hanging:
            return None
        answers: list[Look] = []

        def ask() -> None:
            answers.append(look_at(path, self._stat))
            self._hanging.discard(path)

        self._hanging.add(path)
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(self._patience)
        return answers[0] if answers else None

    def _read(self, index: Index) -> None:
        if index is self._index:
            return
        self._index = index
        self._by_id = {checkpoint.id: checkpoint for checkpoint in index.checkpoints}
        self._by_path = {
            location: checkpoint for checkpoint in index.checkpoints for location in checkpoint.locations
        }
        self._first = {}
