"""What a page may send to the daemon, and what it is told then."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..daemon import NoAnswer, ask
from ..overview import key
from ..plain import visible
from . import covering, last, rows
from .feed import Feed

# The requests that a click may send, with the type of each argument; one in OPTIONAL may be missing.
REQUESTS: dict[str, dict[str, type]] = {
    "build": {"reference": str, "now": bool},
    "retry": {"reference": str},
    "validate": {"reference": str},
    "pin": {"reference": str},
    "unpin": {"reference": str},
    "remove": {"engine": str},
    "pause": {"seconds": int},
    "resume": {},
    "presets": {},
    "set_preset": {"preset": dict, "dry_run": bool},
    "remove_preset": {"name": str, "dry_run": bool},
}
OPTIONAL = {("pause", "seconds"), ("build", "now")}
# Asks the daemon itself, for several calls.
WHY = "why"
# How a daemon refuses what it does not know.
UNKNOWN = "unknown variant"
OLDER = "sdtrtd is older than this extension, and can't do this: install both from one release"


class Misplaced(Exception):
    """No click sends this."""


def answer(feed: Feed, message: Any) -> dict[str, Any]:
    """Does what a page asks for. Returns `said`, a text for people, and perhaps a `value`; or a `problem`."""
    try:
        if isinstance(message, dict) and message.get("request") == WHY:
            return {"value": why(feed)}
        request, arguments = checked(message)
        return told(feed, request, ask(feed.listens_on(), request, **arguments), message)
    except (NoAnswer, Misplaced) as problem:
        return {"problem": OLDER if str(problem).startswith(UNKNOWN) else visible(problem)}
    except (KeyError, TypeError) as problem:
        return {"problem": visible(f"this extension does not understand sdtrtd's answer: {problem!r}")}


def told(feed: Feed, request: str, value: Any, message: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a page is told of the daemon's answer."""
    found: dict[str, Any] = {"said": SAID[request](value)} if request in SAID else {}
    # Shown at once: the stream brings it too, but with all else that has changed.
    if request in ("build", "retry", "validate"):
        found["rows"] = [rows.row(feed.named(value), feed.folders())]
    if request in ("pin", "unpin"):
        found["pinned"] = {engine["key"]: engine["pinned"] for engine in value}
    if request in ("presets", "set_preset", "remove_preset"):
        found["value"] = value
    if request == "set_preset":
        found["covers"] = covering.covers(message["preset"])
    return found


def checked(message: Any) -> tuple[str, dict[str, Any]]:
    """Returns the request and its arguments; raises Misplaced."""
    request = message.get("request") if isinstance(message, dict) else None
    if not isinstance(request, str) or request not in REQUESTS:
        raise Misplaced("the page and the web UI are of different versions: load the page anew")
    arguments = {name: value for name, value in message.items() if name != "request"}
    types = REQUESTS[request]
    missing = {name for name in types if name not in arguments and (request, name) not in OPTIONAL}
    strange = {name for name, value in arguments.items() if type(value) is not types.get(name)}
    if missing or strange:
        raise Misplaced(f"`{request}` can't be sent like this: {', '.join(sorted(missing | strange))}")
    if request == "build":
        arguments.setdefault("now", True)
    if request == "set_preset":
        # Whose usual sizes it may cover only concerns us.
        arguments["preset"] = {name: each for name, each in arguments["preset"].items() if name != "family"}
    return request, arguments


def why(feed: Feed) -> list[dict[str, Any]]:
    """Returns what can be done for the calls of the last job that PyTorch computed."""
    job, checkpoint = feed.desk.last, feed.desk.catalogue.checkpoint(feed.desk.loaded_path())
    found: list[dict[str, Any]] = []
    if job.lacks_control():
        found.append({"text": "A preset can serve ControlNets.", "label": "Let a preset serve them…",
                      "preset": {"controlnet": True}})
    entry = next((each for each in feed.entries().values() if checkpoint and checkpoint.is_called(key(each))), None)
    if checkpoint is None or entry is None:
        return found
    for call in job.calls():
        asked = last.image(call, checkpoint.architecture)
        for coverage in ask(feed.listens_on(), "check", reference=key(entry), image=asked):
            found += [last.mend(served, asked, entry) for served in coverage["passes"]]
    return found


def requested(shown: Mapping[str, Any]) -> str:
    """What becomes of a request to build a checkpoint's engines, or to try again, by its entry in the daemon's list."""
    reason = f": {shown['reason']}" if shown["reason"] else ""
    coming = shown["coming"]
    if coming:
        first = rows.coming(coming[0])
        said = {"building": "is being built", "queued": "is built next"}.get(first["state"], f"is {first['state']}")
        because = f": {first['reason']}" if first["reason"] else ""
        more = f" {len(coming) - 1} more are to come." if coming[1:] else ""
        return visible(f"{first['label']} {said}{because}.{more}")
    if shown["state"] == "ready":
        count = len(shown["engines"])
        return visible(f"Nothing to build: it has all of its {count} engines{reason}. Remove one to build it again.")
    if shown["state"] in ("rejected", "settling", "identifying"):
        return visible(f"Its file is read again; it is {shown['state']}{reason}.")
    return visible(f"It is {shown['state']}{reason}.")


def validated(shown: Mapping[str, Any]) -> str:
    """What becomes of a request to validate a checkpoint's engines again."""
    reason = f"; {shown['reason']}" if shown["reason"] else ""
    return visible(f"Its {len(shown['engines'])} engines are validated again{reason}.")


SAID: dict[str, Callable[[Any], str]] = {
    "build": requested,
    "retry": requested,
    "validate": validated,
    "pin": lambda engines: f"Pinned: {_counted(engines)} never deleted.",
    "unpin": lambda engines: f"Not pinned any more: {_counted(engines)} deleted when there is no room.",
    "remove": lambda removed: "Removed. It is built again only on request.",
    "pause": lambda status: "Paused.",
    "resume": lambda status: "Resumed.",
}


def _counted(engines: list[Any]) -> str:
    return "1 engine is" if len(engines) == 1 else f"{len(engines)} engines are"
