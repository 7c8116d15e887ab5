"""The function that a patcher calls in place of its model, and the UNet inside of the model that it calls.

A patcher has room for one such function, and who comes last wins. So ours calls whatever was there before, which calls
the model as often as it likes; and within the model, others' wrappers around the UNet stay around ours."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MethodType
from typing import Any

SLOT = "model_function_wrapper"
# The methods that compute a UNet: what wrappers call, or else all of it.
METHODS = ("_forward", "forward")

# Computes a UNet's call: gets the UNet, its own method and what the method is called with.
Compute = Callable[..., Any]


class Wrapper:
    """Has `compute` compute the UNets of the models that are called."""

    def __init__(self, compute: Compute, previous: Any = None) -> None:
        self.compute, self.previous = compute, previous

    def __call__(self, apply_model: Any, given: Mapping[str, Any]) -> Any:
        model = getattr(apply_model, "__self__", None)
        inside = partial(called, self.compute, apply_model)
        # Whoever asks whose method it is, is told.
        inner = inside if model is None else MethodType(lambda _, *args, **kwargs: inside(*args, **kwargs), model)
        if self.previous is None:
            return inner(given["input"], given["timestep"], **given["c"])
        return self.previous(inner, given)

    def __deepcopy__(self, memo: Any) -> Wrapper:
        """Patchers are copied with their options; engines are not."""
        return self

    def __getattr__(self, name: str) -> Any:
        # Of what patchers look for, in case it has models of its own.
        if name in ("to", "models") and self.previous is not None:
            return getattr(self.previous, name)
        raise AttributeError(name)


def put(patcher: Any, compute: Compute) -> Any:
    """Returns a copy of a patcher with ours around whatever is in the slot; the patcher itself if ours is there."""
    there = patcher.model_options.get(SLOT)
    if isinstance(there, Wrapper):
        return patcher
    copy = patcher.clone()
    copy.set_model_unet_function_wrapper(Wrapper(compute, there))
    return copy


def called(compute: Compute, apply_model: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls a model with `compute` in place of the method that computes its UNet."""
    unet = getattr(getattr(apply_model, "__self__", None), "diffusion_model", None)
    method = next((name for name in METHODS if hasattr(type(unet), name)), None)
    if method is None or is_replaced(unet, method):
        compute(unet, None)
        return apply_model(*args, **kwargs)

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        # PyTorch, and whoever looks at the UNet, finds its own.
        vars(unet).pop(method, None)
        return compute(unet, getattr(unet, method), *args, **kwargs)

    setattr(unet, method, stand_in)
    try:
        return apply_model(*args, **kwargs)
    finally:
        vars(unet).pop(method, None)


def is_replaced(unet: Any, method: str) -> bool:
    """Whether somebody has put a method of their own in a UNet. Extensions that have ended leave the class's behind."""
    there = vars(unet).get(method)
    return there is not None and getattr(there, "__func__", None) is not getattr(type(unet), method)
