"""What is recorded of a ControlNet's forward. With torch, on the CPU."""
from importlib.util import find_spec
from unittest import TestCase, skipUnless

if find_spec("torch"):
    import torch
    from torch import nn

    from sdtrt import residuals
    from sdtrt.recording import Recorder, Unexpected, added, blank
    from sdtrt.residuals import Residuals

    class Block(nn.Module):
        """A block of a UNet, which takes an embedding and a context too."""

        def __init__(self, *layers):
            super().__init__()
            self.layers = nn.Sequential(*layers)

        def forward(self, h, emb, context):
            return self.layers(h) + emb.mean() + context.mean()

    class UNet(nn.Module):
        """As A1111's, as small as can be: an encoder of two sizes, and what is joined to it."""

        def __init__(self):
            super().__init__()
            wide = lambda inputs, outputs, stride=1: nn.Conv2d(inputs, outputs, 3, stride, 1)
            self.time_embed, self.label_emb = nn.Linear(1, 8), nn.Linear(5, 8)
            self.input_blocks = nn.ModuleList([Block(wide(4, 6)), Block(wide(6, 8, 2))])
            self.middle_block = Block(wide(8, 8))
            self.output_blocks = nn.ModuleList([Block(wide(16, 6), nn.Upsample(scale_factor=2)), Block(wide(12, 6))])
            self.out = wide(6, 4)

        def forward(self, x, timesteps, context, y=None):
            emb = self.time_embed(timesteps[:, None]) + (0 if y is None else self.label_emb(y))
            h, skips = x, []
            for block in self.input_blocks:
                h = block(h, emb, context)
                skips.append(h)
            h = self.middle_block(h, emb, context)
            for block in self.output_blocks:
                h = block(torch.cat([h, skips.pop()], dim=1), emb, context)
            return self.out(h)


def shapes(batch=2, size=8):
    return {"residual.0": (batch, 6, size, size), "residual.1": (batch, 8, size // 2, size // 2),
            "residual.middle": (batch, 8, size // 2, size // 2)}


def controlnet(unet, x, timesteps, context, y, control, inside=None, cast=None):
    """Walks a UNet as sd-webui-controlnet does. `control` is added; `inside` to the encoder's first block."""
    add = lambda base, other: base if other is None else base + other
    control = list(control)
    emb = unet.time_embed(timesteps[:, None])
    if y is not None:
        emb = emb + unet.label_emb(y)
    h, skips = x, []
    for number, block in enumerate(unet.input_blocks):
        h = block(h, emb, context)
        h = add(h, inside if number == 0 else None)
        skips.append(h)
    h = add(unet.middle_block(h, emb, context), control.pop())
    for block in unet.output_blocks:
        skip = add(skips.pop(), control.pop())
        if h.shape[-2:] != skip.shape[-2:]:
            h = nn.functional.interpolate(h, skip.shape[-2:], mode="nearest")
        h = torch.cat([h, skip], dim=1)
        h = block(h if cast is None else cast(h), emb, context)
    return unet.out(h.type(x.dtype)) * 2


@skipUnless(find_spec("torch"), "needs torch")
class Recorded(TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.unet = UNet().eval()
        self.x, self.steps = torch.randn(2, 4, 8, 8), torch.tensor([1.0, 2.0])
        self.context, self.y = torch.randn(2, 3, 5), torch.randn(2, 5)
        self.noise = [torch.randn(shape) for shape in shapes().values()]

    def record(self, control, **given):
        """Returns what the walk returns, and what was recorded; PyTorch computes it."""
        recorded = []

        def compute(found):
            self.assertEqual(vars(self.unet).keys(), self.before, "the blocks are back")
            recorded.append(found)
            with added(self.unet, found.residuals):
                return self.unet(found.sample, self.steps, found.context, found.y)

        self.before = vars(self.unet).keys() - set()
        recorder = Recorder(self.unet, shapes(), compute)
        try:
            with torch.no_grad(), recorder.in_place():
                return controlnet(self.unet, self.x, self.steps, self.context, self.y, control, **given), *recorded
        finally:
            self.assertEqual(vars(self.unet).keys(), self.before, "nothing remains")

    def test_the_result_is_the_walks_own_bit_for_bit(self):
        middle, nothing = self.noise[-1], [None] * 3
        average = self.noise[1].mean(dim=(2, 3), keepdim=True)
        for control in (self.noise, nothing, [None, None, middle], [self.noise[0], None, None],
                        [self.noise[0], average, middle], [each * 0 for each in self.noise]):
            with torch.no_grad():
                expected = controlnet(self.unet, self.x, self.steps, self.context, self.y, control)
            found, recorded = self.record(control)
            self.assertTrue(torch.equal(found, expected))
            self.assertIs(recorded.sample, self.x)
            self.assertIs(recorded.y, self.y)
            is_nothing = all(each is None for each in control)
            self.assertEqual(recorded.residuals, None if is_nothing else Residuals(tuple(control[:-1]), control[-1]))

    def test_shapes_are_those_of_the_features(self):
        names = {name.replace("layers.0.", "0."): tuple(each.shape) for name, each in self.unet.named_parameters()}
        names["input_blocks.1.0.op.weight"] = names.pop("input_blocks.1.0.weight")
        self.assertEqual(residuals.shapes(names, self.x.shape), shapes())

    def test_what_no_residual_control_net_does_is_noticed(self):
        for what, control, given in (
            ("inside of the encoder", self.noise, {"inside": self.noise[0]}),
            ("output block 0", self.noise, {"cast": lambda h: h * 1.5}),
            ("added to the UNet's features", [0.5, None, None], {}),
        ):
            with self.assertRaisesRegex(Unexpected, what):
                self.record(control, **given)

    def test_nothing_remains_after_an_error(self):
        def fail(h):
            raise ValueError("it is broken")

        with self.assertRaisesRegex(ValueError, "it is broken"):
            self.record(self.noise, cast=fail)

    def test_a_blank_has_no_values_but_a_shape(self):
        found = blank((2, 3, 4, 4), self.x)
        self.assertEqual((tuple(found.shape), found.dtype), ((2, 3, 4, 4), self.x.dtype))
        self.assertEqual(found.untyped_storage().nbytes(), 4, "however large it is")
