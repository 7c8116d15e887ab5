"""Whether a UNet's layers compute what their own classes say."""
from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Methods that others replace.
METHODS = ("forward", "_forward", "forward_comfy_cast_weights", "_call_impl", "_wrapped_call_impl")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "weight_function", "bias_function")


def altered(unet: torch.nn.Module, packages: Collection[str]) -> str | None:
    """Returns the layer that another extension has changed or inserted; None if there is none. `packages` are those
    that the front end's own layers are from. Takes a few ms."""
    known: dict[type, bool] = {}
    for name, layer in unet.named_modules():
        kind = type(layer)
        if kind not in known:
            known[kind] = is_own(kind, packages)
        if not known[kind] or has_own_method(layer) or any(getattr(layer, hooks, None) for hooks in HOOKS):
            return name or "the whole"
    return None


def has_own_method(layer: Any) -> bool:
    """Whether a method was replaced in this one object."""
    own = vars(layer)
    replaced = (own[name] for name in METHODS if name in own)
    # Extensions that have ended leave the class's own method behind.
    return any(getattr(method, "__func__", None) not in vars(type(layer)).values() for method in replaced)


def is_own(kind: type, packages: Collection[str]) -> bool:
    """Whether a class and its bases are the front end's or torch's, with the methods that they were written with."""
    for base in kind.__mro__:
        if base is object:
            continue
        if base.__module__.partition(".")[0] not in packages:
            return False
        methods = (vars(base)[name] for name in METHODS if name in vars(base))
        if not all(is_from(method, base.__module__) for method in methods):
            return False
    return True


def is_from(method: Any, module: str) -> bool:
    """Whether a function was written in this module, rather than put there."""
    code = getattr(method, "__code__", None)
    file = getattr(sys.modules.get(module), "__file__", None)
    return code is None or file is None or code.co_filename == file
