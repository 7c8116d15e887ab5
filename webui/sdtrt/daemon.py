"""Asks the daemon over its socket, a line of JSON each way."""
from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, TextIO

PROTOCOL = 2
TIMEOUT_S = 5.0


class NoAnswer(Exception):
    """The daemon can't be asked, or refuses; for people."""


class Refused(NoAnswer):
    """It was asked, and refuses."""


def ask(path: str | Path | None, request: str, **arguments: Any) -> Any:
    """The value of the daemon's reply."""
    if path is None:
        raise NoAnswer("sdtrtd has not run yet: start it, and it says where it answers")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            lines = connection.makefile("r", encoding="utf-8")
            _send(connection, {"protocol": PROTOCOL, "version": "webui"})
            hello = _receive(lines)
            if hello.get("protocol") != PROTOCOL:
                raise NoAnswer(
                    f"sdtrtd {hello.get('version')} speaks protocol {hello.get('protocol')}, this "
                    f"extension {PROTOCOL}: install both from one release"
                )
            _send(connection, {"request": request, **arguments})
            reply = _receive(lines)
    except (OSError, ValueError) as error:
        raise NoAnswer(f"no sdtrtd answers on {path}: {error}") from error
    if reply.get("reply") == "failed":
        raise Refused(_complaint(reply["value"]))
    return reply.get("value")


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(lines: TextIO) -> dict[str, Any]:
    line = lines.readline()
    if not line:
        raise OSError("it hung up")
    reply: dict[str, Any] = json.loads(line)
    return reply


def _complaint(failure: dict[str, str]) -> str:
    kind = failure.get("kind", "failed").replace("_", " ")
    return failure.get("message") or f"{kind}: {failure.get('reference', '')}"
