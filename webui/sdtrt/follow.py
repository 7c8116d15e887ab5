"""Follows when a web UI unloads its model."""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def follow_unload(sd_models: Any, put_away: Callable[[], None]) -> None:
    """Lets `put_away` free what is ours whenever the web UI unloads its model, as its API and settings can."""
    original = sd_models.unload_model_weights
    if hasattr(original, "sdtrt_original"):
        return

    @wraps(original)
    def unload_model_weights(*args: Any, **kwargs: Any) -> Any:
        put_away()
        return original(*args, **kwargs)

    unload_model_weights.sdtrt_original = original  # type: ignore[attr-defined]
    sd_models.unload_model_weights = unload_model_weights
