"""The LoRAs that are on, as the web UI's own extension holds them. It puts them into its own weights."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# What decides the weights that LoRAs make.
State = tuple[tuple[Any, ...], ...]


def state(networks: Iterable[Any]) -> State:
    """What decides the weights. `networks` are those the web UI has loaded, in its order."""
    return tuple(
        (network.name, getattr(network, "mtime", None), network.te_multiplier, network.unet_multiplier, network.dyn_dim)
        for network in networks
    )


def touch_unet(networks: Iterable[Any]) -> bool:
    """Whether any of them changes more than the text encoder."""
    return any(
        layer.startswith("diffusion_model_") for network in networks for layer in network.modules
    )
