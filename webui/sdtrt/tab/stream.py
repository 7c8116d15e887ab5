"""The stream of changes that a page reads while someone looks at the tab: a line of JSON for each, and an empty line
now and then, which keeps proxies from closing it."""
from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from .feed import Feed

# Seconds. uvicorn waits for open streams when the web UI reloads, and nothing wakes one then: it looks.
TICK_S, BEAT_S = 0.05, 20.0
# How long a stream lasts of a server that does not say when it stops.
LAST_S = 25.0


def ending(server: Any, now: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Returns what says whether a stream that begins now has to end: `server` is uvicorn's, which gradio runs."""
    if hasattr(server, "should_exit"):
        return lambda: bool(server.should_exit)
    end = now() + LAST_S
    return lambda: now() >= end


async def lines(feed: Feed, is_ending: Callable[[], bool], tick: float = TICK_S) -> AsyncIterator[bytes]:
    """Yields all there is, and then what changes, until the server stops: that is said last."""
    feed.join()
    try:
        seen, spoke = 0, time.monotonic()
        while not is_ending():
            told, seen = feed.since(seen)
            now = time.monotonic()
            if told or now - spoke >= BEAT_S:
                spoke = now
                yield line(told) if told else b"\n"
            await asyncio.sleep(tick)
        yield line({"bye": True})
    finally:
        feed.leave()


def line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
