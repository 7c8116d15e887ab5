"""Registers callbacks with A1111's kin. Their own functions find out who registers by `inspect.stack()`, which reads
the sources of all callers: in Forge Neo 0.1 s of its start for each callback."""
from __future__ import annotations

import inspect
from typing import Any


def register(script_callbacks: Any, kind: str, callback: object, file: str) -> None:
    """Has the web UI call this at what `on_KIND` of its module is for. `file` is the caller's, which it shows."""
    add = getattr(script_callbacks, "add_callback", None)
    known = getattr(script_callbacks, "callback_map", {}).get(f"callbacks_{kind}")
    # 1.6 takes no file.
    if known is None or add is None or not {"category", "filename"} <= inspect.signature(add).parameters.keys():
        getattr(script_callbacks, f"on_{kind}")(callback)
        return
    add(known, callback, category=kind, filename=file)
