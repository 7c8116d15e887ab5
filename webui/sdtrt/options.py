"""Which entries the web UI's list 'SD Unet' gets, and which checkpoint each file holds."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .index import Checkpoint, Index, IndexFile

# A file's device and inode.
Identity = tuple[int, int]


@dataclass(frozen=True)
class Choice:
    """An entry of the list. It only says that there are engines: the loaded model decides which ones are used."""

    model_name: str
    label: str


class Files:
    """Identifies files, and remembers the checkpoint that each path last held: a checkpoint that is moved while
    the web UI has it loaded stays the same."""

    def __init__(self, stat: Callable[[str], os.stat_result] = os.stat) -> None:
        self._stat = stat
        self._last: dict[str, str] = {}
        self._index: Index | None = None
        self._by_id: dict[str, Checkpoint] = {}
        self._by_file: dict[Identity, Checkpoint] = {}

    def identity(self, path: str) -> Identity | None:
        """Returns the same for two paths to one file, whatever links are between."""
        try:
            stat = self._stat(path)
            return stat.st_dev, stat.st_ino
        except OSError:
            return None

    def checkpoints(self, index: Index, paths: Iterable[str]) -> dict[str, Checkpoint]:
        """Returns the checkpoints that the index has for these paths, by path."""
        if index is not self._index:
            self._read(index)
        found = {}
        for path in paths:
            identity = self.identity(path)
            checkpoint = self._by_file.get(identity) if identity else None
            # Another file may have its inode by now.
            if checkpoint and any(self.identity(location) == identity for location in checkpoint.locations):
                self._last[path] = checkpoint.id
            elif identity is not None:
                # It is another file now.
                self._last.pop(path, None)
            checkpoint = self._by_id.get(self._last.get(path, ""))
            if checkpoint is not None:
                found[path] = checkpoint
        return found

    def _read(self, index: Index) -> None:
        self._index = index
        self._by_id = {checkpoint.id: checkpoint for checkpoint in index.checkpoints}
        self._by_file = {
            identity: checkpoint
            for checkpoint in index.checkpoints
            for location in checkpoint.locations
            if (identity := self.identity(location)) is not None
        }


class Catalogue:
    """What the daemon has for the loaded model, by the current index."""

    def __init__(self, file: IndexFile) -> None:
        self.file, self.files = file, Files()

    @property
    def index(self) -> Index:
        return self.file.index

    def checkpoint(self, path: str | None) -> Checkpoint | None:
        """Returns the checkpoint in the file at this path, or None."""
        return self.files.checkpoints(self.index, [path]).get(path) if path else None

    def by_key(self, key: str) -> Checkpoint | None:
        """Returns the checkpoint with this key of the daemon, or None."""
        return next((found for found in self.index.checkpoints if found.is_called(key)), None)


def elsewhere(index: Index, files: Files, known: Iterable[str]) -> dict[str, str]:
    """Of these files those that the daemon knows by name alone, at a path that leads nowhere here, and that path: in a
    container the models may lie elsewhere. Which content they have nobody can tell, so only shared engines serve."""
    by_name: dict[str, list[Checkpoint]] = {}
    for checkpoint in index.checkpoints:
        for name in {os.path.basename(location) for location in checkpoint.locations}:
            by_name.setdefault(name, []).append(checkpoint)
    found = {}
    for path in known:
        alike = by_name.get(os.path.basename(path), [])
        if len(alike) == 1 and index.shared(alike[0].signature):
            places = [place for place in alike[0].locations if os.path.basename(place) == os.path.basename(path)]
            if all(files.identity(place) is None for place in places):
                found[path] = places[0]
    return found


def choices(
    index: Index, files: Files, known: Iterable[tuple[str, str]], loaded: str | None = None
) -> list[Choice]:
    """Returns the entries for the web UI's files; `known` has (path, model_name) of each. `loaded` is the
    model_name of a loaded model that has engines, whatever its file holds now."""
    known = list(known)
    checkpoints = files.checkpoints(index, [path for path, _ in known])
    strangers = elsewhere(index, files, [path for path, _ in known if path not in checkpoints])
    names = [
        name
        for path, name in known
        if path in strangers or (path in checkpoints and index.engines(checkpoints[path]))
    ]
    names += [loaded] if loaded else []
    return [Choice(name, f"[sdtrt] {name}") for name in dict.fromkeys(names)]
