"""What a page shows, and what of it has changed since it was last told. Pure."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..index import Profile
from ..overview import Overview, key
from . import glance, rows


class Board:
    """Everything has the number of its last change: a page is told what has a larger one than it knows."""

    def __init__(self, front_end: str = "") -> None:
        self.front_end = front_end
        self.overview = Overview()
        self.version = 0
        self.profiles: Mapping[str, Sequence[Profile]] = {}
        # Version and value, by key.
        self._rows: dict[str, tuple[int, dict[str, Any]]] = {}
        self._engines: dict[str, tuple[int, dict[str, Any]]] = {}
        # What each of them was drawn from last. A change of an engine that all have comes with all of their entries.
        self._drawn: dict[str, Any] = {}
        self._gone: dict[str, int] = {}
        # The rest, such as `status`, by name.
        self._parts: dict[str, tuple[int, Any]] = {}

    def apply(self, event: str, value: Any) -> None:
        """Applies one of the daemon's events."""
        self.overview.apply(event, value)
        if event == "state":
            for gone in self._rows.keys() - self.overview.entries.keys():
                self._drop(gone)
            for each in self.overview.entries:
                self._draw(each)
        elif event == "checkpoint":
            self._draw(key(value))
        elif event == "gone":
            self._drop(value)
        # Of entries it only has those that somebody works for.
        if self.overview.status and (event not in ("checkpoint", "gone") or self.overview.status["building"]):
            self.put("status", glance.glance(self.overview.status, self.overview.entries))

    def name(self, files: Iterable[Mapping[str, Any]]) -> None:
        """Takes what files are called."""
        self.overview.name(files)
        for each in self.overview.entries:
            self._draw(each)

    def know(self, profiles: Mapping[str, Sequence[Profile]]) -> None:
        """Takes the profiles of a new index."""
        self.profiles = profiles
        for engine in self._engines:
            self._drawn.pop(engine, None)
        for entry in self.overview.entries.values():
            self._draw_engines(entry)

    def put(self, name: str, value: Any) -> None:
        """Sets another part."""
        if name not in self._parts or self._parts[name][1] != value:
            self._parts[name] = self._next(), value

    def part(self, name: str) -> Any:
        return self._parts[name][1] if name in self._parts else None

    def since(self, version: int) -> dict[str, Any]:
        """Returns what has changed since this version: `rows`, `engines`, keys that are `gone`, and other parts. With 0
        all there is. Empty if nothing has."""
        later = lambda found: [value for number, value in found.values() if number > version]
        told = {name: value for name, (number, value) in self._parts.items() if number > version}
        told |= {name: changed for name, changed in (
            ("rows", later(self._rows)), ("engines", later(self._engines)),
            ("gone", [gone for gone, number in self._gone.items() if number > version > 0]),
        ) if changed}
        if told and version == 0:
            told["whole"] = True
        return told

    def _next(self) -> int:
        self.version += 1
        return self.version

    def _draw(self, which: str) -> None:
        entry = self.overview.entries[which]
        self._draw_engines(entry)
        self._gone.pop(which, None)
        folders = [folder["path"] for folder in self.overview.status.get("models_dirs", ())]
        its_own = [(engine["key"], engine["unusable"]) for engine in entry["engines"]]
        drawn = {**entry, "engines": its_own, "folders": folders}
        if self._drawn.get(which) != drawn:
            self._drawn[which] = drawn
            self._set(self._rows, which, rows.row(entry, folders))

    def _draw_engines(self, entry: Mapping[str, Any]) -> None:
        for shown in entry["engines"]:
            engine = shown["key"]
            # Except for what is each checkpoint's own, which is in its row.
            drawn = {**shown, "proof": None, "unusable": ()}
            if self._drawn.get(engine) == drawn:
                continue
            self._drawn[engine] = drawn
            self._set(self._engines, engine, rows.engine(shown, self.profiles.get(engine, ()), self.front_end))

    def _set(self, found: dict[str, tuple[int, dict[str, Any]]], which: str, value: dict[str, Any]) -> None:
        if which not in found or found[which][1] != value:
            found[which] = self._next(), value

    def _drop(self, which: str) -> None:
        self._drawn.pop(which, None)
        if self._rows.pop(which, None) is not None:
            self._gone[which] = self._next()
