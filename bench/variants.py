"""The golden checkpoints that goldens.py writes: small ones at odd sizes, of the kinds that the first five lack,
and those whose inputs or weights are hard for fp16.
"""
from dataclasses import dataclass, field
from itertools import cycle
from typing import NamedTuple

UNET = "model.diffusion_model"
VAE = [("first_stage_model.decoder.conv_in.bias", [8])]
CLIP = [("cond_stage_model.transformer.text_model.embeddings.position_embedding.weight", [77, 768])]
OPEN_CLIP = [("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight", [6, 1024])]
XL_CLIP = [("conditioner.embedders.1.model.ln_final.weight", [1280])]
DEPTH = [("depth_model.model.pretrained.act_postprocess3.0.project.0.bias", [8])]


class Level(NamedTuple):
    """A resolution level: its channels, and the transformer blocks after each of its residual blocks."""

    width: int
    down: tuple
    up: tuple


class Shot(NamedTuple):
    """A case: the kind of its latents, and how much of the output is stored."""

    kind: str | None
    batch: int
    height: int
    width: int
    every: int = 1


def levels(*widths_and_depths):
    return [Level(width, (depth,) * 2, (depth,) * 3) for width, depth in widths_and_depths]


@dataclass
class Variant:
    """A UNet's hyper-parameters, and the other tensors by which A1111 recognizes its kind."""

    name: str
    seed: int
    context: int
    levels: list[Level]
    beside: list
    dtype: str = "F16"
    in_channels: int = 4
    out_channels: int = 4
    y: int | None = None
    # None: the middle is a single residual block, as in SSD-1B.
    middle_depth: int | None = 1
    shots: tuple = (Shot(None, 2, 9, 13), Shot(None, 1, 7, 5), Shot(None, 3, 5, 12))
    # Powers of two for some tensors, by the suffix of their names.
    factors: dict = field(default_factory=dict)

    def manifest(self):
        tensors = sorted([*self.beside, *VAE, *((f"{UNET}.{name}", shape) for name, shape in self.unet())])
        manifest = {"name": self.name, "seed": self.seed, "dtype": self.dtype, "tensors": tensors}
        if self.factors:
            manifest["factors"] = self.factors
        return manifest | {"cases": list(self.cases())}

    def cases(self):
        steps = cycle(([980.75, 981.25], [37.25], [500.5, 999.0, 0.0]))
        for shot, timesteps, tokens in zip(self.shots, steps, cycle((77, 154, 77))):
            case = {
                "sample": [shot.batch, self.in_channels, shot.height, shot.width],
                "timesteps": timesteps[: shot.batch],
                "encoder_hidden_states": [shot.batch, tokens, self.context],
            }
            if self.y is not None:
                case["y"] = [shot.batch, self.y]
            if shot.kind is not None:
                case["input"] = shot.kind
            if shot.every > 1:
                case["every"] = shot.every
            yield case

    def unet(self):
        first, *_, last = [level.width for level in self.levels]
        yield from embedding("time_embed", first, 4 * first)
        if self.y is not None:
            yield from embedding("label_emb.0", self.y, 4 * first)
        yield from layer("input_blocks.0.0", first, self.in_channels, 3, 3)
        skips = [first]
        for number, (width, down, _) in enumerate(self.levels):
            if number > 0:
                yield from layer(f"input_blocks.{len(skips)}.0.op", skips[-1], skips[-1], 3, 3)
                skips.append(skips[-1])
            for depth in down:
                yield from self.block(f"input_blocks.{len(skips)}", skips[-1], width, depth)
                skips.append(width)
        yield from self.block("middle_block", last, last, self.middle_depth or 0)
        if self.middle_depth is not None:
            yield from self.resblock("middle_block.2", last, last)
        channels, count = last, 0
        for number, (width, _, up) in reversed(list(enumerate(self.levels))):
            for depth in up:
                at = f"output_blocks.{count}"
                yield from self.block(at, channels + skips.pop(), width, depth)
                channels, count = width, count + 1
            if number > 0:
                yield from layer(f"{at}.{2 if depth else 1}.conv", width, width, 3, 3)
        yield from layer("out.0", first)
        yield from layer("out.2", self.out_channels, first, 3, 3)

    def block(self, at, inputs, outputs, depth):
        yield from self.resblock(f"{at}.0", inputs, outputs)
        if depth:
            yield from self.transformer(f"{at}.1", outputs, depth)

    def resblock(self, at, inputs, outputs):
        yield from layer(f"{at}.in_layers.0", inputs)
        yield from layer(f"{at}.in_layers.2", outputs, inputs, 3, 3)
        yield from layer(f"{at}.emb_layers.1", outputs, 4 * self.levels[0].width)
        yield from layer(f"{at}.out_layers.0", outputs)
        yield from layer(f"{at}.out_layers.3", outputs, outputs, 3, 3)
        if inputs != outputs:
            yield from layer(f"{at}.skip_connection", outputs, inputs, 1, 1)

    def transformer(self, at, width, depth):
        # SD 1.x, whose context is 768 wide, projects by convolutions.
        kernel = [1, 1] if self.context == 768 else []
        yield from layer(f"{at}.norm", width)
        for projection in ("proj_in", "proj_out"):
            yield from layer(f"{at}.{projection}", width, width, *kernel)
        for block in (f"{at}.transformer_blocks.{number}" for number in range(depth)):
            for attention, source in (("attn1", width), ("attn2", self.context)):
                for name, inputs in (("to_q", width), ("to_k", source), ("to_v", source)):
                    yield f"{block}.{attention}.{name}.weight", [width, inputs]
                yield from layer(f"{block}.{attention}.to_out.0", width, width)
            yield from layer(f"{block}.ff.net.0.proj", 8 * width, width)
            yield from layer(f"{block}.ff.net.2", width, 4 * width)
            for norm in ("norm1", "norm2", "norm3"):
                yield from layer(f"{block}.{norm}", width)


def layer(at, *shape):
    """Yields a weight, and a bias for each of its outputs."""
    yield f"{at}.weight", list(shape)
    yield f"{at}.bias", [shape[0]]


def embedding(at, inputs, outputs):
    yield from layer(f"{at}.0", outputs, inputs)
    yield from layer(f"{at}.2", outputs, outputs)


TWO = levels((64, 1), (128, 1))
XL = levels((64, 0), (128, 1))
SSD = [Level(64, (0, 0), (0, 0, 0)), Level(64, (2, 2), (2, 1, 1)), Level(128, (1, 2), (2, 2, 3))]
FOUR = levels((32, 1), (64, 1), (64, 1), (64, 0))
# Attention only at a quarter of the side, so that its scores at 256 per side fit into memory.
QUARTER = levels((32, 0), (32, 0), (64, 1))
HARD = (
    Shot("constant", 1, 64, 64, 2),
    Shot("nearly_constant", 1, 64, 96, 2),
    Shot("flat_halves", 1, 128, 128, 4),
    Shot("tiny", 1, 64, 64, 2),
    Shot("huge", 1, 72, 64, 2),
    Shot("constant", 1, 96, 128, 4),
    Shot("flat_halves", 1, 256, 256, 8),
    Shot("smooth", 1, 256, 256, 8),
)
# Values so large that some hundred of them already overflow fp16. Their projection scales them back, so the UNet
# computes the same.
LOUD = {".attn1.to_v.weight": 256, ".attn1.to_out.0.weight": 2**-8}
LARGE = (
    Shot(None, 2, 64, 64, 2),
    Shot("constant", 1, 64, 64, 2),
    Shot("flat_halves", 1, 64, 96, 2),
    Shot("smooth", 1, 128, 128, 4),
)


def shifted(factor):
    """Queries and keys that are large and nearly the same everywhere, as in SD 2.1, so that scores are large and
    nearly equal; values as usual."""
    return {".norm1.bias": factor, ".attn1.to_v.weight": 2**-7}


VARIANTS = [
    Variant("instruct-pix2pix", 6, 768, FOUR, CLIP, in_channels=8),
    Variant("sd2-depth", 7, 1024, TWO, OPEN_CLIP + DEPTH, in_channels=5),
    Variant("sd2-unclip-l", 8, 1024, TWO, [*OPEN_CLIP, ("embedder.model.ln_final.weight", [768])], y=1536),
    Variant("sd2-unclip-h", 9, 1024, TWO, [*OPEN_CLIP, ("embedder.model.ln_final.weight", [1024])], "BF16", y=2048),
    Variant("sd2-inpaint", 10, 1024, TWO, OPEN_CLIP, "F32", in_channels=9),
    Variant("sdxl-inpaint", 11, 2048, XL, XL_CLIP, in_channels=9, y=2816),
    Variant("ssd-1b", 12, 2048, SSD, XL_CLIP, y=2816, middle_depth=None),
    Variant("hard", 13, 1024, QUARTER, OPEN_CLIP, shots=HARD, factors=LOUD),
    # The scores overflow fp16, in the second one even after scaling.
    Variant("overflow", 14, 1024, QUARTER, OPEN_CLIP, shots=LARGE, factors=shifted(2048)),
    Variant("overflow-scaled", 15, 1024, QUARTER, OPEN_CLIP, shots=LARGE, factors=shifted(4096)),
    Variant("sdxl-instruct-pix2pix", 16, 2048, XL, XL_CLIP, in_channels=8, y=2816),
    Variant("sd2-marigold", 17, 1024, TWO, OPEN_CLIP, in_channels=8),
    Variant("sd1-ic-light", 18, 768, TWO, CLIP, in_channels=12),
    Variant("sd2-lotus", 19, 1024, TWO, OPEN_CLIP, y=4),
    Variant("sdxl-32-channels", 20, 2048, XL, XL_CLIP, in_channels=32, out_channels=32, y=2816),
]
