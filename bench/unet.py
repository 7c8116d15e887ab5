"""Stable Diffusion's UNet in PyTorch, computing the same as the original code, built from a state dict alone.

Everything is derived from the tensors' names and shapes, and the modules have the same names: loading the weights
strictly proves that no tensor is left over or missing.
"""
import math

import torch
from safetensors import safe_open
from torch import nn

from blocks import ATTENTION, Downsample, ResBlock, Shapes, SpatialTransformer, Upsample, group_norm, layer

PREFIX = "model.diffusion_model."
MAX_PERIOD = 10_000


class Block(nn.ModuleList):
    """The modules of one block, distinguished by their tensors."""

    def __init__(self, shapes, heads, attention):
        super().__init__()
        for child in shapes.children():
            if "in_layers" in child:
                self.append(ResBlock(child))
            elif "transformer_blocks" in child:
                self.append(SpatialTransformer(child, heads, attention))
            elif "op" in child:
                self.append(Downsample(child))
            elif "conv" in child:
                self.append(Upsample(child))
            else:
                self.append(layer(child))

    def forward(self, h, emb, context):
        for module in self:
            if isinstance(module, ResBlock):
                h = module(h, emb)
            elif isinstance(module, SpatialTransformer):
                h = module(h, context)
            else:
                h = module(h)
        return h


def embedding(shapes):
    return nn.Sequential(layer(shapes[0]), nn.SiLU(), layer(shapes[2]))


class UNet(nn.Module):
    """The UNet with the tensors `weights`, by their names without the prefix. They are not copied: their type and
    device are the module's. `attention` is `plain` or `sdpa`."""

    def __init__(self, weights, attention="plain"):
        super().__init__()
        shapes = Shapes({name: tuple(tensor.shape) for name, tensor in weights.items()})
        to_k = (shape for name, shape in shapes.shapes.items() if name.endswith("attn2.to_k.weight"))
        self.context_width = next(to_k)[1]
        # Shapes do not determine the number of heads; the context's width does.
        heads = (lambda channels: 8) if self.context_width == 768 else (lambda channels: channels // 64)
        block = lambda child: Block(child, heads, ATTENTION[attention])
        with torch.device("meta"):
            self.time_embed = embedding(shapes["time_embed"])
            if "label_emb" in shapes:
                self.label_emb = nn.Sequential(embedding(shapes["label_emb"][0]))
            self.input_blocks = nn.ModuleList(map(block, shapes["input_blocks"].children()))
            self.middle_block = block(shapes["middle_block"])
            self.output_blocks = nn.ModuleList(map(block, shapes["output_blocks"].children()))
            out = shapes["out"]
            self.out = nn.Sequential(group_norm(out[0]), nn.SiLU(), layer(out[2]))
        self.load_state_dict(weights, strict=True, assign=True)
        self.eval().requires_grad_(False)

    def forward(self, sample, timesteps, encoder_hidden_states, y=None):
        """`sample` [batch, channels, height, width], `timesteps` [batch], always fp32, `encoder_hidden_states`
        [batch, tokens, width], `y` [batch, width]."""
        half = self.time_embed[0].in_features // 2
        order = torch.arange(half, dtype=torch.float32, device=sample.device)
        angles = timesteps[:, None] * torch.exp(order * (-math.log(MAX_PERIOD) / half))
        emb = self.time_embed(torch.cat([angles.cos(), angles.sin()], dim=1).to(sample.dtype))
        if y is not None:
            emb = emb + self.label_emb(y)
        h, skips = sample, []
        for block in self.input_blocks:
            h = block(h, emb, encoder_hidden_states)
            skips.append(h)
        h = self.middle_block(h, emb, encoder_hidden_states)
        for block in self.output_blocks:
            skip = skips.pop()
            # Crops what was rounded up on the way down. Not part of the graph: an export at an even size must equal
            # the original code's.
            if h.shape[2:] != skip.shape[2:]:
                h = h[:, :, : skip.shape[2], : skip.shape[3]]
            h = block(torch.cat([h, skip], dim=1), emb, encoder_hidden_states)
        return self.out(h)


def load_weights(path, device="cpu", dtype=None):
    """Returns a checkpoint's UNet tensors, by their names without the prefix."""
    with safe_open(path, "pt", device=str(device)) as file:
        names = [name for name in file.keys() if name.startswith(PREFIX)]
        return {name[len(PREFIX):]: file.get_tensor(name).to(dtype=dtype) for name in names}
