"""What fails in our part is no reason for the front end to fail."""
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def aside(say: Callable[[str], None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Returns a decorator of functions that a front end calls; `say` prints a line for the user."""

    def of(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def safe(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                say(f"{function.__name__} failed: {type(error).__name__}: {error}; PyTorch computes")

        return safe

    return of
