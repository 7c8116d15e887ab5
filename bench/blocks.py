"""The modules of the UNet's blocks, built from the shapes of their tensors.

Attributes have the names in the checkpoints' keys.
"""
from torch import nn
from torch.nn import functional as F

GROUPS = 32


def plain(q, k, v):
    """Attention written out: two products and a softmax."""
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return scores.softmax(-1) @ v


ATTENTION = {"plain": plain, "sdpa": F.scaled_dot_product_attention}


class Shapes:
    """The shapes of a module's tensors, by their names in the module."""

    def __init__(self, shapes):
        self.shapes = shapes

    def __getitem__(self, child):
        start = f"{child}."
        return Shapes({n[len(start):]: s for n, s in self.shapes.items() if n.startswith(start)})

    def __contains__(self, child):
        return bool(self[child].shapes)

    def children(self):
        """Returns the numbered children, from 0 to the first gap."""
        number = 0
        while number in self:
            yield self[number]
            number += 1


def layer(shapes, stride=1):
    """Returns a linear layer or a convolution, depending on the weight's rank."""
    outputs, inputs, *kernel = shapes.shapes["weight"]
    bias = "bias" in shapes.shapes
    if kernel:
        return nn.Conv2d(inputs, outputs, kernel, stride, kernel[0] // 2, bias=bias)
    return nn.Linear(inputs, outputs, bias)


def group_norm(shapes, eps=1e-5):
    return nn.GroupNorm(GROUPS, shapes.shapes["weight"][0], eps)


def layer_norm(shapes):
    return nn.LayerNorm(shapes.shapes["weight"][0])


class ResBlock(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        first, emb, last = shapes["in_layers"], shapes["emb_layers"], shapes["out_layers"]
        self.in_layers = nn.Sequential(group_norm(first[0]), nn.SiLU(), layer(first[2]))
        self.emb_layers = nn.Sequential(nn.SiLU(), layer(emb[1]))
        # The third one is a dropout, which does nothing here.
        self.out_layers = nn.Sequential(group_norm(last[0]), nn.SiLU(), nn.Identity(), layer(last[3]))
        skips = "skip_connection" in shapes
        self.skip_connection = layer(shapes["skip_connection"]) if skips else nn.Identity()

    def forward(self, x, emb):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
    def __init__(self, shapes, heads, attention):
        super().__init__()
        self.to_q, self.to_k, self.to_v = (layer(shapes[name]) for name in ("to_q", "to_k", "to_v"))
        self.to_out = nn.Sequential(layer(shapes["to_out"][0]))
        self.heads = heads(self.to_q.out_features)
        self.attention = attention

    def forward(self, x, context):
        q, k, v = self.to_q(x), self.to_k(context), self.to_v(context)
        q, k, v = (rows.unflatten(-1, (self.heads, -1)).transpose(1, 2) for rows in (q, k, v))
        return self.to_out(self.attention(q, k, v).transpose(1, 2).flatten(2))


class GEGLU(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        self.proj = layer(shapes["proj"])

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class TransformerBlock(nn.Module):
    def __init__(self, shapes, heads, attention):
        super().__init__()
        self.attn1 = CrossAttention(shapes["attn1"], heads, attention)
        self.attn2 = CrossAttention(shapes["attn2"], heads, attention)
        net = shapes["ff"]["net"]
        self.ff = nn.ModuleDict({"net": nn.Sequential(GEGLU(net[0]), nn.Identity(), layer(net[2]))})
        self.norm1, self.norm2, self.norm3 = (layer_norm(shapes[f"norm{n}"]) for n in (1, 2, 3))

    def forward(self, x, context):
        normal = self.norm1(x)
        x = self.attn1(normal, normal) + x
        x = self.attn2(self.norm2(x), context) + x
        return self.ff["net"](self.norm3(x)) + x


class SpatialTransformer(nn.Module):
    def __init__(self, shapes, heads, attention):
        super().__init__()
        self.norm = group_norm(shapes["norm"], eps=1e-6)
        self.proj_in, self.proj_out = layer(shapes["proj_in"]), layer(shapes["proj_out"])
        blocks = shapes["transformer_blocks"].children()
        self.transformer_blocks = nn.ModuleList(TransformerBlock(b, heads, attention) for b in blocks)

    def forward(self, x, context):
        # SD 1.x projects pixels with 1×1 convolutions, the others rows with linear layers.
        convolutions = isinstance(self.proj_in, nn.Conv2d)
        h = self.norm(x)
        h = self.proj_in(h) if convolutions else h
        h = h.flatten(2).transpose(1, 2)
        h = h if convolutions else self.proj_in(h)
        for block in self.transformer_blocks:
            h = block(h, context)
        h = h if convolutions else self.proj_out(h)
        h = h.transpose(1, 2).reshape(x.shape)
        return (self.proj_out(h) if convolutions else h) + x


class Downsample(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        self.op = layer(shapes["op"], stride=2)

    def forward(self, x):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        self.conv = layer(shapes["conv"])

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
