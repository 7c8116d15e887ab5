"""Makes a T2I adapter with random weights for a checkpoint: `python3 tests/frontends/control/adapters.py CHECKPOINT
FILE`. It has the shapes of one for SD 1.x, as wide as the checkpoint's UNet."""
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

WIDTH = "model.diffusion_model.input_blocks.0.0.weight"
# How much wider each of its stages is than the first, and how many blocks each has.
STAGES, BLOCKS = (1, 2, 4, 4), 2
# A colour picture, each 8×8 pixels in one.
INPUTS = 3 * 8 * 8


def adapter(base, seed):
    """Returns the tensors of an adapter for a UNet of this width."""
    generator = torch.Generator().manual_seed(seed)
    found = {}

    def convolution(name, outputs, inputs, kernel):
        spread = 0.7 / (inputs * kernel**2) ** 0.5
        found[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=generator) * spread
        found[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.02

    convolution("conv_in", base, INPUTS, 3)
    before = base
    for stage, wider in enumerate(STAGES):
        for block in range(BLOCKS):
            name, width = f"body.{stage * BLOCKS + block}", base * wider
            if before != width:
                convolution(f"{name}.in_conv", width, before, 1)
            convolution(f"{name}.block1", width, width, 3)
            convolution(f"{name}.block2", width, width, 1)
            before = width
    return found


def write(checkpoint, file):
    with safe_open(checkpoint, "pt") as tensors:
        base = tensors.get_slice(WIDTH).get_shape()[0]
    save_file(adapter(base, 5), file)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
