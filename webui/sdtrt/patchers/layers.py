"""Whether a UNet's layers are the front end's own, and compute what their classes say. What is replaced on the classes
themselves is for `sdtrt.changes` to find."""
from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Methods that others replace.
METHODS = ("forward", "_forward", "_conv_forward", "forward_comfy_cast_weights")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "weight_function", "bias_function", "forge_online_loras")
# What layers have beside a weight that is not as it stands there.
SCALES = ("scale_weight", "weight_scale")
# What torch's own weights are; others are packed, or know by themselves how to compute.
PLAIN = ("NoneType", "Tensor", "Parameter")


def special(unet: torch.nn.Module) -> str | None:
    """Returns what the front end's own layers do here that no engine does, in words; None if that is nothing."""
    for name, layer in unet.named_modules():
        if getattr(layer, "padding_mode", "zeros") != "zeros":
            return "tiling is on"
        kind = type(getattr(layer, "weight", None)).__name__
        if kind not in PLAIN:
            return f"{name} is quantised ({kind}): only its own code can read it"
        scale = next((each for each in SCALES if getattr(layer, each, None) is not None), None)
        if scale is not None:
            return f"{name} is quantised, with a {scale}: only its own code can read it"
    return None


def altered(unet: torch.nn.Module, packages: Collection[str]) -> str | None:
    """Returns the layer that another extension has changed or inserted; None if there is none. `packages` are those
    that the front end's own layers are from. Takes a few ms."""
    for name, layer in unet.named_modules():
        hooked = any(getattr(layer, hooks, None) for hooks in HOOKS)
        if hooked or has_own_method(layer) or not is_from(type(layer), packages):
            return name or "the whole"
    return None


def has_own_method(layer: Any) -> bool:
    """Whether a method was replaced in this one object."""
    own = vars(layer)
    replaced = (own[name] for name in METHODS if name in own)
    # Extensions that have ended leave the class's own method behind.
    return any(getattr(method, "__func__", None) not in vars(type(layer)).values() for method in replaced)


def is_from(kind: type, packages: Collection[str]) -> bool:
    """Whether a class and its bases are from these packages."""
    return all(base is object or base.__module__.partition(".")[0] in packages for base in kind.__mro__)


def step(unet: torch.nn.Module) -> int:
    """Returns of which number of latent pixels its sides must be multiples so that no level of the UNet rounds."""
    parts = (part for block in getattr(unet, "input_blocks", ()) for part in block)
    return 1 << sum(type(part).__name__ == "Downsample" for part in parts)


def attention(module: str, name: str) -> str:
    """Returns the name of the function that a front end's module has chosen to compute attention; empty without it."""
    chosen = getattr(sys.modules.get(module), name, None)
    return str(getattr(chosen, "__name__", ""))
