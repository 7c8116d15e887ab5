"""Which entries the web UI's list 'SD Unet' gets, and which checkpoint each means."""
from __future__ import annotations

import os
from dataclasses import dataclass

from .index import Checkpoint


@dataclass(frozen=True)
class Choice:
    """One entry. Two files can share a name (`a.ckpt` beside `a.safetensors`, `sub/a` and `sub_a`):
    which of them is meant, the file that is loaded decides."""

    model_name: str
    label: str
    checkpoints: tuple[tuple[str, Checkpoint], ...]

    def of(self, path):
        """The checkpoint at this path, as the web UI calls it."""
        return dict(self.checkpoints).get(path)


class Files:
    """Tells files apart, and remembers whose content each path last held: a checkpoint that is moved
    while the web UI has it loaded is still the same one."""

    def __init__(self, stat=os.stat):
        self._stat = stat
        self._last = {}

    def identity(self, path):
        """The same for two paths that lead to one file, whatever links lie between."""
        try:
            stat = self._stat(path)
            return stat.st_dev, stat.st_ino
        except OSError:
            return None

    def checkpoints(self, index, paths):
        """The checkpoint of each of these paths that has engines."""
        by_id = {checkpoint.id: checkpoint for checkpoint in index.checkpoints}
        by_file = {}
        for checkpoint in index.checkpoints:
            for location in checkpoint.locations:
                by_file[self.identity(location)] = checkpoint.id
        by_file.pop(None, None)
        found = {}
        for path in paths:
            identity = self.identity(path)
            if identity in by_file:
                self._last[path] = by_file[identity]
            elif identity is not None:
                # Another file now.
                self._last.pop(path, None)
            checkpoint = by_id.get(self._last.get(path))
            if checkpoint is not None and checkpoint.engines:
                found[path] = checkpoint
        return found


def choices(index, files, known):
    """The entries for the files that the web UI knows, `known` being (path, model_name) of each."""
    known = list(known)
    checkpoints = files.checkpoints(index, [path for path, _ in known])
    groups = {}
    for path, model_name in known:
        if path in checkpoints:
            groups.setdefault(model_name, []).append((path, checkpoints[path]))
    return [Choice(name, f"[sdtrt] {name}", tuple(group)) for name, group in groups.items()]
