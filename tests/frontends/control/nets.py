"""Makes control nets with random weights for a checkpoint: `python3 tests/frontends/control/nets.py CHECKPOINT FOLDER`.

They have the shapes of the checkpoint's own encoder, which must be one of SD 1.x or 2.x: what a real one has, and the
zero convolutions not zero. Writes `control-a`, `control-b`, `control-shuffle` (whose residuals the web UI averages) and
`control-lllite`.
"""
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

PREFIX = "model.diffusion_model."
# The channels of the convolutions by which the hint gets from pixels to the latent's size, and their strides.
HINT = ((16, 1), (16, 1), (32, 2), (32, 1), (96, 2), (96, 1), (256, 2))
# Of the zero convolutions' values, so that a picture changes and does not break.
STRENGTH = 0.3


def control_net(checkpoint, seed):
    """Returns the tensors of a control net whose encoder is the checkpoint's."""
    unet = {name[len(PREFIX):]: tensor.float() for name, tensor in checkpoint.items() if name.startswith(PREFIX)}
    encoder = re.compile("time_embed|label_emb|input_blocks|middle_block")
    found = {name: each for name, each in unet.items() if encoder.match(name)}
    generator = torch.Generator().manual_seed(seed)

    def convolution(name, outputs, inputs, kernel, scale):
        spread = scale / (inputs * kernel**2) ** 0.5
        found[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=generator) * spread
        found[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.02

    base, inputs = unet["input_blocks.0.0.weight"].shape[0], 3
    for number, (outputs, _) in enumerate((*HINT, (base, 1))):
        convolution(f"input_hint_block.{2 * number}", outputs, inputs, 3, 1.5)
        inputs = outputs
    channels, block = [], 0
    while any(name.startswith(f"input_blocks.{block}.") for name in unet):
        ends = (f"input_blocks.{block}.0.{end}" for end in ("weight", "out_layers.3.weight", "op.weight"))
        channels.append(next(unet[name].shape[0] for name in ends if name in unet))
        convolution(f"zero_convs.{block}.0", channels[-1], channels[-1], 1, STRENGTH)
        block += 1
    convolution("middle_block_out.0", channels[-1], channels[-1], 1, STRENGTH)
    return {f"control_model.{name}": each.half().contiguous() for name, each in found.items()}


def lllite(checkpoint, seed):
    """Returns the tensors of a ControlLLLite for one layer."""
    layer = "input_blocks.4.1.transformer_blocks.0.attn1.to_q"
    width = checkpoint[f"{PREFIX}{layer}.weight"].shape[1]
    name = f"lllite_unet_{layer.replace('.', '_')}"
    shapes = {"conditioning1.0": (16, 3, 4, 4), "conditioning1.2": (32, 16, 4, 4), "down.0": (16, width),
              "mid.0": (16, 48), "up.0": (width, 16)}
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for part, shape in shapes.items():
        found[f"{name}.{part}.weight"] = torch.randn(shape, generator=generator) * 0.3
        found[f"{name}.{part}.bias"] = torch.zeros(shape[0])
    return found


def write(checkpoint, folder):
    tensors = load_file(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in (("a", 1), ("b", 2), ("shuffle", 3)):
        save_file(control_net(tensors, seed), folder / f"control-{name}.safetensors")
    save_file(lllite(tensors, 4), folder / "control-lllite.safetensors")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
