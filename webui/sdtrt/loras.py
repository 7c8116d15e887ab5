"""The active LoRAs, as the web UI's built-in extension has them. It applies them to its own weights."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# What determines the weights with LoRAs applied.
State = tuple[tuple[Any, ...], ...]


def state(networks: Iterable[Any]) -> State:
    """Returns what determines the weights. `networks` are those that the web UI has loaded, in its order."""
    return tuple(
        (network.name, getattr(network, "mtime", None), network.te_multiplier, network.unet_multiplier, network.dyn_dim)
        for network in networks
    )


def touch_unet(networks: Iterable[Any]) -> bool:
    """Whether any of them changes more than the text encoder."""
    return any(
        layer.startswith("diffusion_model_") for network in networks for layer in network.modules
    )
