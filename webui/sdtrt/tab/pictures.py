"""The pictures that lie beside checkpoints."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

# What a browser is told that it is, by the end of the name. SVG can run code, and is not among them.
TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
    ".avif": "image/avif",
}
# A picture is a picture, whatever it contains.
HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def of(entry: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Returns path and type of the picture that the daemon names for an entry, if it is a file."""
    path = entry and entry.get("picture")
    if not isinstance(path, str):
        return None
    kind = TYPES.get(os.path.splitext(path)[1].lower())
    return (path, kind) if kind is not None and os.path.isfile(path) else None
