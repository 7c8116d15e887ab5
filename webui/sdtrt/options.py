"""Which entries the web UI's list 'SD Unet' gets."""
from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from .files import Files
from .index import Checkpoint, Index, IndexFile


@dataclass(frozen=True)
class Choice:
    """An entry of the list. It only says that there are engines: the loaded model decides which ones are used."""

    model_name: str
    label: str


class Catalogue:
    """What the daemon has for the loaded model, by the current index."""

    def __init__(self, file: IndexFile) -> None:
        self.file, self.files = file, Files()

    @property
    def index(self) -> Index:
        return self.file.index

    def checkpoint(self, path: str | None) -> Checkpoint | None:
        """Returns the checkpoint in the file at this path, which is the loaded model's, or None."""
        return self.files.held(self.index, path) if path else None


def elsewhere(index: Index, known: Iterable[str]) -> dict[str, str]:
    """Of these files those that the daemon knows by name alone, at another path, and that path: in a
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
            found[path] = places[0]
    return found


def choices(
    index: Index, files: Files, known: Iterable[tuple[str, str]], loaded: str | None = None
) -> list[Choice]:
    """Returns the entries for the web UI's files, none of which is looked at; `known` has (path, model_name) of each.
    `loaded` is the model_name of a loaded model that has engines, whatever its path says."""
    known = list(known)
    named = {path: checkpoint for path, _ in known if (checkpoint := files.named(index, path))}
    strangers = elsewhere(index, [path for path, _ in known if path not in named])
    names = [
        name for path, name in known if path in strangers or (path in named and index.engines(named[path]))
    ]
    names += [loaded] if loaded else []
    return [Choice(name, f"[sdtrt] {name}") for name in dict.fromkeys(names)]
