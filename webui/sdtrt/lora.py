"""LoRAs as changes of single weights of an engine. The deltas are computed by the web UI's own
extension; nothing here knows torch, only arithmetic on arrays."""
from __future__ import annotations

PREFIX = "model.diffusion_model."
# Latent channels are the only ones that a LoRA of an ordinary model has for an inpainting one.
LATENT_CHANNELS = 4
INPAINTING_CHANNELS = 9


class Unsupported(Exception):
    """A LoRA that changes what an engine has no weight for."""


def layers(names):
    """The weights of each layer, `{layer: {"weight": name, "bias": name}}`, by the name that the
    web UI gives it: the module's path with underscores."""
    found = {}
    for name in names:
        if name.startswith(PREFIX):
            module, _, part = name[len(PREFIX):].rpartition(".")
            found.setdefault(f"diffusion_model_{module.replace('.', '_')}", {})[part] = name
    return found


def state(networks):
    """What decides the weights: equal states need no refit. `networks` are those the web UI has
    loaded, in its order."""
    return tuple(
        (network.name, getattr(network, "mtime", None), network.unet_multiplier, network.dyn_dim)
        for network in networks
    )


def touches_unet(networks):
    """Whether any of them changes more than the text encoder."""
    return any(
        layer.startswith("diffusion_model_") for network in networks for layer in network.modules
    )


def affected(layers, networks):
    """The layers that they change."""
    return {layer for network in networks for layer in network.modules if layer in layers}


def strange(layers, networks):
    """Layers of the UNet that they change and the engine does not have."""
    return {
        layer
        for network in networks
        for layer in network.modules
        if layer.startswith("diffusion_model_") and layer not in layers
    }


def merge(weight, bias, modules):
    """A layer's weight and bias with the networks' modules for it applied, one after the other: some
    kinds look at what those before have made. `bias` is None where there is none. Also how many modules
    were made for another shape: the web UI leaves them out, and so must we."""
    left_out = 0
    for module in modules:
        try:
            delta, bias_delta = module.calc_updown(weight)
            weight = plus(weight, delta)
            if bias_delta is not None:
                if bias is None:
                    raise Unsupported("a LoRA adds a bias where the UNet has none")
                bias = bias + bias_delta
        except RuntimeError as error:
            # Not of the shape, but of the GPU.
            if "CUDA" in str(error):
                raise
            left_out += 1
    return weight, bias, left_out


def plus(weight, delta):
    if len(weight.shape) != 4 or weight.shape[1] != INPAINTING_CHANNELS:
        return weight + delta
    both = weight + 0
    both[:, :LATENT_CHANNELS] += delta
    return both
