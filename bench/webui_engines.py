"""The engines in one of sdtrtd's data folders, and calls for them."""
from dataclasses import dataclass

import torch

from unet import UNet, load_weights

PIXELS = 8


@dataclass(frozen=True)
class Shape:
    """A call of the UNet, in pixels of the image."""

    width: int
    height: int
    batch: int
    tokens: int

    def __str__(self):
        return f"{self.width}×{self.height}, batch {self.batch}, {self.tokens} tokens"


def shapes(engines):
    """Returns each profile's optimum shape, without repetitions."""
    profiles = (profile for engine in engines for profile in engine.profiles)
    sizes = lambda profile: (profile.width, profile.height, profile.batch, profile.tokens)
    return list(dict.fromkeys(Shape(*(size.usual for size in sizes(profile))) for profile in profiles))


def case(unet, shape, seed=0):
    """Returns inputs as A1111 1.10 passes them: fp16, with fractional timesteps."""
    generator = torch.Generator().manual_seed(seed)
    random = lambda *size: torch.randn(size, generator=generator).to("cuda", torch.float16)
    height, width = shape.height // PIXELS, shape.width // PIXELS
    inputs = {
        "sample": random(shape.batch, unet.input_blocks[0][0].in_channels, height, width),
        "timesteps": torch.linspace(980.25, 3.5, shape.batch, device="cuda"),
        "encoder_hidden_states": random(shape.batch, shape.tokens, unet.context_width),
    }
    if hasattr(unet, "label_emb"):
        inputs["y"] = random(shape.batch, unet.label_emb[0][0].in_features)
    return inputs


def torch_unet(checkpoint, dtype=torch.float16):
    return UNet(load_weights(checkpoint, "cuda", dtype), "sdpa")


def reference(unet, inputs, dtype):
    """Returns PyTorch's output with a UNet's current weights, converted to this type."""
    weights = {name: each.detach().to(dtype).contiguous() for name, each in unet.named_parameters()}
    cast = lambda name, tensor: tensor.float() if name == "timesteps" else tensor.to(dtype)
    return UNet(weights, "sdpa")(**{name: cast(name, tensor) for name, tensor in inputs.items()})
