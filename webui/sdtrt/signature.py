"""What a UNet is to an engine: the names and shapes of its parameters, and its heads. The daemon computes
the same signature from a checkpoint's header."""
from __future__ import annotations

import hashlib
from typing import NamedTuple
from weakref import WeakKeyDictionary

HEADER = "sdtrt signature 1"


def text(shapes, heads):
    """What a signature is the hash of: shapes by parameter, and heads by attention."""
    in_order = lambda mapping: sorted(mapping.items(), key=lambda item: item[0].encode())
    lines = [HEADER]
    lines += [f"{name} {'x'.join(map(str, shape))}" for name, shape in in_order(shapes)]
    lines += [f"heads {name} {count}" for name, count in in_order(heads)]
    return "".join(f"{line}\n" for line in lines)


def signature(shapes, heads):
    return hashlib.sha256(text(shapes, heads).encode()).hexdigest()


class Look(NamedTuple):
    """A UNet of the web UI's, as it was when it was looked at."""

    signature: str
    # Parameters that were not there at the first look, such as a bias of a LoRA.
    new: tuple[str, ...]


class Looks:
    """Looks at UNets, and computes a signature only where names, shapes or heads have changed. Keeps none of them
    alive."""

    def __init__(self):
        self._seen = WeakKeyDictionary()
        self._places = WeakKeyDictionary()

    def at(self, unet):
        modules = list(unet.named_modules())
        places = {
            f"{path}.{name}" if path else name: (module._parameters, name)
            for path, module in modules
            for name, parameter in module._parameters.items()
            if parameter is not None
        }
        shapes = {name: tuple(held[key].shape) for name, (held, key) in places.items()}
        heads = {path: getattr(module, "heads", None) for path, module in modules if hasattr(module, "to_q")}
        first, last, found = self._seen.get(unet, (shapes.keys(), None, None))
        if last != (shapes, heads):
            found = signature(shapes, heads)
        self._seen[unet], self._places[unet] = (first, (shapes, heads), found), places
        return Look(found, tuple(sorted(shapes.keys() - first)))

    def signature(self, unet):
        """As of the last look, or else the first."""
        if unet not in self._seen:
            self.at(unet)
        return self._seen[unet][2]

    def places(self, unet):
        """Where each parameter hung at the last look: its module's own dictionary, and its name there. So what
        was put in its place since is seen."""
        return self._places[unet]
