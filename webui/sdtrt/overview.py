"""The daemon's `status` and `list`, kept up to date by its events."""
from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from .daemon import Connection, NoAnswer

# The connection ends with the first event after this many seconds without a request.
UNSEEN_S = 30.0


class Overview:
    """The state so far. Pure."""

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
        elif event in self.status:
            # The others are named after the part of the status that they replace.
            self.status[event] = value


def key(entry: dict[str, Any]) -> str:
    """Returns the daemon's key of an entry."""
    found: str = entry["weights_id"] or entry["locations"][0]
    return found


def short(key: str) -> str:
    """What people are shown of it: the first digits of an id, or the name of a file whose content is not known."""
    return os.path.basename(key) if "/" in key else key[:12]


class Watch:
    """Listens to the daemon from the first request until there have been none for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._overview: Overview | None = None
        self._looked = 0.0
        self.listener: threading.Thread | None = None

    def status(self, path: str | Path | None) -> dict[str, Any]:
        """Returns the status; raises NoAnswer."""
        with self._lock:
            return dict(self._now(path).status)

    def entries(self, path: str | Path | None) -> list[dict[str, Any]]:
        """Returns the list's entries; raises NoAnswer."""
        with self._lock:
            return list(self._now(path).entries.values())

    def _now(self, path: str | Path | None) -> Overview:
        self._looked = time.monotonic()
        if self._overview is None:
            overview, connection = self._begin(path)
            self._overview = overview
            self.listener = threading.Thread(target=self._listen, args=(overview, connection), daemon=True)
            self.listener.start()
        return self._overview

    def _begin(self, path: str | Path | None) -> tuple[Overview, Connection]:
        overview = Overview()
        try:
            connection = Connection(path)
            connection.send({"request": "watch"})
            first = connection.receive()
        except (OSError, ValueError) as error:
            raise NoAnswer(f"no sdtrtd is listening on {path}: {error}") from error
        overview.apply(first["event"], first["value"])
        return overview, connection

    def _listen(self, overview: Overview, connection: Connection) -> None:
        try:
            connection.socket.settimeout(None)
            while True:
                told = connection.receive()
                with self._lock:
                    overview.apply(told["event"], told.get("value"))
                    if time.monotonic() - self._looked > UNSEEN_S:
                        break
        except (OSError, ValueError, KeyError):
            pass
        finally:
            connection.close()
            with self._lock:
                self._overview = None
