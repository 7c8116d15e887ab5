"""How a shared engine's inputs are derived from a UNet's parameters, as the engine's manifest says. docs/index.md
has its schema.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

VERSION = 1
# `plain`: the parameter's own layout, or several parameters concatenated along their first dimension. `ohwi`: a
# convolution's weight with its input channels last, torch's `channels_last`.
LAYOUTS = ("plain", "ohwi")


class Unreadable(Exception):
    """A manifest that this extension can't use, and why."""


class Unfit(Exception):
    """Why an engine can't read a UNet's weights."""


class OutOfMemory(Unfit):
    """There is too little GPU memory for the weights."""


class Input(NamedTuple):
    name: str
    shape: tuple[int, ...]
    # Names of UNet parameters.
    parts: tuple[str, ...]
    layout: str

    def misfit(self, shapes: Sequence[Sequence[int]]) -> str | None:
        """Returns why parts of these shapes don't fit, or None."""
        if self.layout == "ohwi":
            (shape,) = shapes
            fitting = len(shape) == 4 and (shape[0], *shape[2:], shape[1]) == self.shape
        else:
            # A scalar can't be concatenated.
            rows = sum(shape[0] if shape else 0 for shape in shapes)
            fitting = (
                tuple(shapes[0]) == self.shape
                if len(shapes) == 1
                else rows == self.shape[0] and all(tuple(shape[1:]) == self.shape[1:] for shape in shapes)
            )
        return None if fitting else f"{', '.join(self.parts)} can't make {self.name} of the shape {self.shape}"


def parse(text: str) -> tuple[Input, ...]:
    """Returns the inputs listed in a manifest."""
    try:
        tree = json.loads(text)["binding"]
        if tree["version"] != VERSION:
            raise Unreadable(
                f"its binding has version {tree['version']}, this extension reads {VERSION}: the older of "
                "sdtrtd and the extension needs an update"
            )
        inputs = tuple(map(_input, tree["inputs"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"its binding is damaged: {error!r}") from error
    parts = [part for each in inputs for part in each.parts]
    if not inputs or len(set(parts)) != len(parts):
        raise Unreadable("its binding is damaged: every parameter must be read exactly once")
    return inputs


def _input(tree: dict[str, Any]) -> Input:
    found = Input(tree["name"], tuple(tree["shape"]), tuple(tree["parts"]), tree["layout"])
    if found.layout not in LAYOUTS or not found.parts or (found.layout == "ohwi" and len(found.parts) != 1):
        raise ValueError(f"{found.name} is {found.layout} of {len(found.parts)} parts")
    return found


def read(path: str | Path) -> tuple[Input, ...]:
    try:
        return parse(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"its manifest can't be read: {error}") from error
