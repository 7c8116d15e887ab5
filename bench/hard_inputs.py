"""Inputs that reveal faults of a UNet, by name: latents as at the first, a middle and the last steps, and others
as in parts of real images.
"""
import torch
from torch.nn import functional as F

from measure import PIXELS, TOKENS

MIDDLE = 500.25
# Timesteps, and the noise level σ at each.
NOISY = {"noise, first step": (999.0, 14.6), "noise, middle": (MIDDLE, 1.6), "noise, last steps": (21.5, 0.12)}
TEXT = {"text × 5": 5, "no text": 0}
NAMES = [*NOISY, "constant", "half flat", "smooth", "nearly constant", "tiny", "huge, × 10", *TEXT]


def inputs(unet, kind, batch, size):
    """Returns the UNet's inputs, fp16 except for the timesteps, for a size (height, width) in pixels; the same at
    every call, and different in each row of the batch."""
    generator = torch.Generator().manual_seed(size[0] * 10_000 + size[1])
    random = lambda *shape: torch.randn(shape, generator=generator).cuda()
    height, width = (side // PIXELS for side in size)
    channels = unet.input_blocks[0][0].in_channels
    noise = random(batch, channels, height, width)
    step, level = NOISY.get(kind, (MIDDLE, None))
    case = {
        "sample": latents(kind, noise, level, random),
        "timesteps": torch.full((batch,), step).cuda(),
        "encoder_hidden_states": random(batch, TOKENS, unet.context_width) * TEXT.get(kind, 1),
    }
    if hasattr(unet, "label_emb"):
        case["y"] = random(batch, unet.label_emb[0][0].in_features)
    half = lambda tensor: tensor.half().contiguous()
    return {name: tensor if name == "timesteps" else half(tensor) for name, tensor in case.items()}


def latents(kind, noise, level, random):
    batch, channels, height, width = noise.shape

    def smooth(over):
        few = random(batch, channels, height // over + 1, width // over + 1)
        return F.interpolate(few, size=(height, width), mode="bilinear")

    if level is not None:
        # An image with flat areas, plus noise, scaled for the UNet.
        picture = smooth(16)
        picture = torch.where(picture > 0, picture.clamp(max=0.5), picture.clamp(min=-0.5))
        return (picture + level * noise) / (level**2 + 1) ** 0.5
    if kind == "half flat":
        noise[..., width // 2:] = 0.4
    made = {"constant": 0 * noise + 0.3, "smooth": smooth(8), "nearly constant": 0.5 + 0.002 * noise,
            "tiny": 0.001 * noise, "huge, × 10": 10 * noise}
    return made.get(kind, noise)
