"""Queries the daemon over its socket, with one line of JSON in each direction."""
from __future__ import annotations

import json
import os
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

PROTOCOL = 2
TIMEOUT_S = 5.0
# Of a path, in bytes.
LONGEST = 107


class NoAnswer(Exception):
    """The daemon can't be reached, or refuses; says why."""


class Refused(NoAnswer):
    """The daemon refused the request."""


def ask(path: str | Path | None, request: str, **arguments: Any) -> Any:
    """Returns the value of the daemon's reply."""
    try:
        with closing(Connection(path)) as connection:
            connection.send({"request": request, **arguments})
            reply = connection.receive()
    except (OSError, ValueError) as error:
        raise NoAnswer(f"no sdtrtd is listening on {path}: {error}") from error
    if reply.get("reply") == "failed":
        raise Refused(_complaint(reply["value"]))
    return reply.get("value")


class Connection:
    """A connection whose daemon has sent its hello. Raises NoAnswer, OSError or ValueError if there is none."""

    def __init__(self, path: str | Path | None) -> None:
        if path is None:
            raise NoAnswer("sdtrtd has not run yet; once it is started, the web UI finds it")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(TIMEOUT_S)
            connect(self.socket, str(path))
            self.lines = self.socket.makefile("r", encoding="utf-8")
            self.send({"protocol": PROTOCOL, "version": "webui"})
            hello = self.receive()
            if hello.get("protocol") != PROTOCOL:
                raise NoAnswer(
                    f"sdtrtd {hello.get('version')} uses protocol {hello.get('protocol')}, this "
                    f"extension {PROTOCOL}: install both from one release"
                )
        except BaseException:
            self.close()
            raise

    def send(self, message: dict[str, Any]) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        line = self.lines.readline()
        if not line:
            raise OSError("the daemon closed the connection")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        self.socket.close()


def connect(to: socket.socket, path: str) -> None:
    """Connects to the socket at a path, which may be longer than the kernel takes."""
    if len(os.fsencode(path)) <= LONGEST:
        to.connect(path)
        return
    folder, name = os.path.split(path)
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        to.connect(f"/proc/self/fd/{opened}/{name}")
    finally:
        os.close(opened)


def _complaint(failure: dict[str, str]) -> str:
    kind = failure.get("kind", "failed").replace("_", " ")
    return failure.get("message") or f"{kind}: {failure.get('reference', '')}"
