"""A UNet's signature: the names and shapes of its parameters, and its heads. The daemon computes the same
signature from a checkpoint's header.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from . import residuals

if TYPE_CHECKING:
    import torch

# The dictionary that each parameter is in, and its key there.
Places = dict[str, tuple[dict[str, Any], str]]
# Shapes by parameter, and heads by attention layer.
Form = tuple[dict[str, tuple[int, ...]], dict[str, Any]]

HEADER = "sdtrt signature 1"
# What checkpoints and the modules around a UNet put before its names; the daemon leaves it out too.
PREFIXES = ("model.diffusion_model.", "diffusion_model.")


def text(shapes: Mapping[str, tuple[int, ...]], heads: Mapping[str, Any]) -> str:
    """Returns the text that a signature is the hash of, from shapes by parameter and heads by attention layer."""
    lines = [HEADER]
    lines += [f"{name} {'x'.join(map(str, shapes[name]))}" for name in sorted(shapes, key=str.encode)]
    lines += [f"heads {name} {heads[name]}" for name in sorted(heads, key=str.encode)]
    return "".join(f"{line}\n" for line in lines)


def signature(shapes: Mapping[str, tuple[int, ...]], heads: Mapping[str, Any]) -> str:
    return hashlib.sha256(text(shapes, heads).encode()).hexdigest()


def prefix(names: Iterable[str]) -> str:
    """Returns the prefix that all names have; an empty one if there is none."""
    known = list(names)
    return next((each for each in PREFIXES if known and all(name.startswith(each) for name in known)), "")


class Look(NamedTuple):
    """The web UI's UNet at the time of a look."""

    signature: str
    # Parameters that were missing at the first look, such as a LoRA's bias.
    new: tuple[str, ...]


class Seen(NamedTuple):
    """What was seen of a UNet."""

    # The names of its parameters at the first look.
    names: frozenset[str]
    first: str
    # At the last one.
    form: Form
    last: str


class Looks:
    """Looks at UNets, and computes a signature only if names, shapes or heads have changed. Keeps no UNet alive."""

    def __init__(self) -> None:
        self._seen: WeakKeyDictionary[torch.nn.Module, Seen] = WeakKeyDictionary()
        self._places: WeakKeyDictionary[torch.nn.Module, Places] = WeakKeyDictionary()

    def at(self, unet: torch.nn.Module) -> Look:
        modules = list(unet.named_modules())
        places = {
            f"{path}.{name}" if path else name: (module._parameters, name)
            for path, module in modules
            for name, parameter in module._parameters.items()
            if parameter is not None
        }
        start = len(prefix(places))
        places = {name[start:]: place for name, place in places.items()}
        shapes = {name: tuple(held[key].shape) for name, (held, key) in places.items()}
        heads = {path[start:]: getattr(module, "heads", None) for path, module in modules if hasattr(module, "to_q")}
        before = self._seen.get(unet)
        found = before.last if before and before.form == (shapes, heads) else signature(shapes, heads)
        names, first = (before.names, before.first) if before else (frozenset(shapes), found)
        self._seen[unet], self._places[unet] = Seen(names, first, (shapes, heads), found), places
        return Look(found, tuple(sorted(shapes.keys() - names)))

    def signature(self, unet: torch.nn.Module) -> str:
        """Returns the signature at the last look, or else the first."""
        return self.signatures(unet)[1]

    def signatures(self, unet: torch.nn.Module) -> tuple[str, str]:
        """Returns the signatures at the first look and at the last. What a LoRA has added since the first may have gone
        again since the last."""
        if unet not in self._seen:
            self.at(unet)
        seen = self._seen[unet]
        return seen.first, seen.last

    def residuals(self, unet: torch.nn.Module, sample: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of what ControlNets add, for a latent of this shape, by the last look."""
        return residuals.shapes(self._seen[unet].form[0], sample)

    def places(self, unet: torch.nn.Module) -> Places:
        """Returns where each parameter was at the last look: its module's own dictionary and its key there, so
        that a later replacement is noticed."""
        return self._places[unet]
