"""One connection to the daemon for all pages that look at the tab, while any does."""
from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from ..daemon import Connection, NoAnswer, ask
from ..plain import visible
from .board import Board
from .desk import Desk
from .rows import profiles

# How long until a daemon that was not there is looked for again, and what has changed in the web UI itself.
AGAIN_S, LOOK_S = 2.0, 1.0
# How long until names are asked for once more: what lies beside a checkpoint may still be written, and the daemon has a
# title that is in a file itself only once it has read the file, which it tells nobody.
NAMES_S = 20.0


class Feed:
    """`join` and `leave` it; `since` tells what has changed."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.board = desk, Board(desk.front_end)
        self._lock = threading.Lock()
        self._pages = 0
        self._listener: Listener | None = None

    def join(self) -> None:
        """A page looks from now on."""
        with self._lock:
            self._pages += 1
            if self._listener is None:
                # The last one's would be shown until the daemon has answered.
                self.board = Board(self.desk.front_end)
                self._listener = Listener(self.desk, self.board, self._lock)
                self._listener.start()

    def leave(self) -> None:
        """A page does not look any more."""
        with self._lock:
            self._pages -= 1
            if self._pages == 0 and self._listener is not None:
                self._listener.stop()
                self._listener = None

    def since(self, version: int) -> tuple[dict[str, Any], int]:
        """Returns what has changed since a version, and the version that this is."""
        with self._lock:
            return self.board.since(version), self.board.version

    def entry(self, key: str) -> dict[str, Any] | None:
        """Returns an entry of the daemon's list, if anyone looks."""
        with self._lock:
            return self.board.overview.entries.get(key)

    def listens_on(self) -> str | None:
        """Returns the daemon's socket."""
        self.desk.index_file.refresh()
        return self.desk.catalogue.index.socket

    def folders(self) -> list[str]:
        """Returns the models folders."""
        with self._lock:
            return [folder["path"] for folder in self.board.overview.status.get("models_dirs", ())]

    def named(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Returns an entry of the daemon's list with its title and picture, which the daemon itself does not tell."""
        with self._lock:
            return self.board.overview.named(entry)

    def entries(self) -> dict[str, dict[str, Any]]:
        """Returns all of them."""
        with self._lock:
            return dict(self.board.overview.entries)


class Listener(threading.Thread):
    """Writes what the daemon tells on a board, until it is stopped."""

    def __init__(self, desk: Desk, board: Board, lock: threading.Lock) -> None:
        super().__init__(name="sdtrt tab", daemon=True)
        self.desk, self.board, self.lock = desk, board, lock
        self.stopped = threading.Event()
        self.connection: Connection | None = None
        # Files whose names were asked for, when their folders had last changed then, and when to ask once more.
        self.asked: set[str] = set()
        self.beside: dict[str, int] = {}
        self.names_due = math.inf

    def stop(self) -> None:
        self.stopped.set()
        connection = self.connection
        if connection is not None:
            wake(connection.socket)

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                self.listen()
            except NoAnswer as why:
                self.put("problem", visible(why))
            except (OSError, ValueError, KeyError, TypeError) as error:
                self.put("problem", visible(f"no sdtrtd is listening on {self.socket()}: {error}"))
            self.stopped.wait(AGAIN_S)

    def listen(self) -> None:
        self.look()
        connection = Connection(self.socket())
        self.connection = connection
        try:
            connection.send({"request": "watch"})
            looked = time.monotonic()
            for told in events(connection.socket, LOOK_S):
                if self.stopped.is_set():
                    return
                if told is not None:
                    with self.lock:
                        self.board.apply(told["event"], told.get("value"))
                        self.board.put("problem", "")
                if time.monotonic() - looked >= LOOK_S:
                    looked = time.monotonic()
                    self.look()
                    self.look_for_names()
        finally:
            self.connection = None
            connection.close()

    def socket(self) -> str | None:
        return self.desk.catalogue.index.socket

    def look_for_names(self) -> None:
        """Asks what files are called: for new ones, or if something beside them is new, or the daemon may know more."""
        with self.lock:
            nameless = self.board.overview.nameless() - self.asked
            folders = self.board.overview.folders()
        beside, now = changes(folders), time.monotonic()
        if not nameless and beside == self.beside and now < self.names_due:
            return
        is_new = bool(nameless) or beside != self.beside
        self.asked |= nameless
        self.beside, self.names_due = beside, math.inf
        try:
            files = ask(self.socket(), "names")
        except NoAnswer:
            # An older daemon does not know the request.
            return
        with self.lock:
            self.board.name(files)
            if is_new or self.board.overview.is_unread():
                self.names_due = now + NAMES_S

    def look(self) -> None:
        """Takes over what has changed in the web UI: its index, its model and its last job."""
        before = self.desk.catalogue.index
        self.desk.index_file.refresh()
        index = self.desk.catalogue.index
        if index is not before or not self.board.profiles:
            found = profiles(index)
            with self.lock:
                self.board.know(found)
        checkpoint = self.desk.catalogue.checkpoint(self.desk.loaded_path())
        self.put("loaded", [checkpoint.id, *checkpoint.locations] if checkpoint else [])
        self.put("last", self.desk.last.told())

    def put(self, name: str, value: Any) -> None:
        with self.lock:
            self.board.put(name, value)


def events(source: socket.socket, patience: float) -> Iterator[dict[str, Any] | None]:
    """Yields what comes, a line each, and None whenever nothing has for a while. Raises OSError when it ends."""
    source.settimeout(patience)
    left = b""
    while True:
        try:
            got = source.recv(1 << 16)
        except TimeoutError:
            yield None
            continue
        if not got:
            raise OSError("the daemon closed the connection")
        *lines, left = (left + got).split(b"\n")
        for line in lines:
            yield json.loads(line)


def changes(folders: Iterable[str]) -> dict[str, int]:
    """Returns when something has come to each folder, or gone from it; those that are not here are left out."""
    found = {}
    for folder in folders:
        try:
            found[folder] = os.stat(folder).st_mtime_ns
        except OSError:
            continue
    return found


def wake(sleeper: socket.socket) -> None:
    """Ends another thread's wait for it."""
    try:
        sleeper.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is closed already.
        return
