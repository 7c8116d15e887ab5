"""The daemon's `status` and `list`, kept up to date by its events. Pure."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any


class Overview:
    """The state so far."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        # What the files of entries are called, by location.
        self.names: dict[str, dict[str, Any]] = {}

    def apply(self, event: str, value: Any) -> None:
        """Applies an event; an unknown one, from a newer daemon, changes nothing."""
        if event == "state":
            self.status = value["status"]
            self.entries = {key(entry): self.named(entry) for entry in value["checkpoints"]}
        elif event == "checkpoint":
            self.entries[key(value)] = self.named(value)
        elif event == "gone":
            self.entries.pop(value, None)
        elif event == "runtime":
            self.status.update(value)
        elif event in self.status or event == "paused_until":
            # The others are named after the part of the status that they replace. A daemon that is not paused, or not
            # for a time, leaves this one out.
            self.status[event] = value

    def is_unread(self) -> bool:
        """Whether the daemon still has to read a file, and may know its title then."""
        return any(names["crc32"] is None for names in self.names.values())

    def name(self, files: Iterable[Mapping[str, Any]]) -> None:
        """Takes what the daemon's reply to `names` tells of all files."""
        self.names = {file["location"]: {part: file[part] for part in ("title", "picture", "crc32")} for file in files}
        self.entries = {key: self.named(entry) for key, entry in self.entries.items()}

    def nameless(self) -> set[str]:
        """Returns where checkpoints lie of which that is not known."""
        places = (entry["locations"][:1] for entry in self.entries.values() if entry["architecture"])
        return {place for found in places for place in found} - self.names.keys()

    def folders(self) -> set[str]:
        """Returns the folders in which checkpoints lie."""
        return {os.path.dirname(place) for entry in self.entries.values() for place in entry["locations"]}

    def named(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Returns an entry with its first title and picture."""
        found = [self.names[place] for place in entry["locations"] if place in self.names]
        first = lambda part: next((names[part] for names in found if names[part]), None)
        return {**entry, "title": first("title"), "picture": first("picture")} if found else entry


def key(entry: Mapping[str, Any]) -> str:
    """Returns the daemon's key of an entry."""
    found: str = entry["weights_id"] or entry["locations"][0]
    return found


def short(key: str) -> str:
    """What people are shown of it: the first digits of an id, or the name of a file whose content is not known."""
    return os.path.basename(key) if "/" in key else key[:12]
