"""What ControlNets add to a UNet, as front ends with patchers hand it over: lists by place, from which the UNet takes
the last each time. Pure, and the lists stay as they are."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..residuals import Residuals

MIDDLE, OUTPUT = "middle", "output"
# What a UNet is given besides, and doesn't read: in Forge Neo whose residuals they are.
UNREAD = ("control_model",)


def copied(control: Any) -> Any:
    """Returns the same for one more call, which empties the lists."""
    if not isinstance(control, Mapping):
        return control
    return {name: list(each) if isinstance(each, list) else each for name, each in control.items()}


def obstacle(control: Any) -> str | None:
    """Returns what is added that engines don't take, in words; None if there is nothing."""
    if control is None:
        return None
    if not isinstance(control, Mapping) or not all(isinstance(each, list) for each in control.values()):
        return "a ControlNet of an unknown kind is active"
    others = [name for name, each in control.items() if name not in (MIDDLE, OUTPUT) and is_any(each)]
    if others:
        return f"a T2I adapter, or another that adds to the UNet's {', '.join(map(str, others))}, is active"
    return None


def residuals(control: Mapping[str, list[Any]] | None, blocks: int) -> Residuals | None:
    """Returns what is added to the skip connections of this many input blocks, and to the middle block."""
    if control is None:
        return None
    # The last is for the last input block; those that are too many, before the first, are never taken.
    skips = list(control.get(OUTPUT, ()))[-blocks:]
    middle = control.get(MIDDLE) or [None]
    return Residuals.of([None] * (blocks - len(skips)) + skips, middle[-1])


def is_any(each: list[Any]) -> bool:
    return any(value is not None for value in each)
