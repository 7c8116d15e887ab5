"""Follows what a web UI does that it tells no extension."""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def follow(module: Any, name: str, before: Callable[..., None]) -> None:
    """Has `before` called with the same arguments whenever a web UI calls this function of its module, as its API and
    settings can. Changes nothing where it does so already."""
    original = getattr(module, name)
    if hasattr(original, "sdtrt_original"):
        return

    @wraps(original)
    def followed(*args: Any, **kwargs: Any) -> Any:
        before(*args, **kwargs)
        return original(*args, **kwargs)

    followed.sdtrt_original = original  # type: ignore[attr-defined]
    setattr(module, name, followed)
