"""The daemon's `status` and `list`, kept up to date by its events. Pure."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


class Overview:
    """The state so far."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.entries: dict[str, dict[str, Any]] = {}

    def apply(self, event: str, value: Any) -> None:
        """Applies an event; an unknown one, from a newer daemon, changes nothing."""
        if event == "state":
            self.status = value["status"]
            self.entries = {key(entry): entry for entry in value["checkpoints"]}
        elif event == "checkpoint":
            self.entries[key(value)] = value
        elif event == "gone":
            self.entries.pop(value, None)
        elif event == "runtime":
            self.status.update(value)
        elif event in self.status or event == "paused_until":
            # The others are named after the part of the status that they replace. A daemon that is not paused, or not
            # for a time, leaves this one out.
            self.status[event] = value


def key(entry: Mapping[str, Any]) -> str:
    """Returns the daemon's key of an entry."""
    found: str = entry["weights_id"] or entry["locations"][0]
    return found


def short(key: str) -> str:
    """What people are shown of it: the first digits of an id, or the name of a file whose content is not known."""
    return os.path.basename(key) if "/" in key else key[:12]
