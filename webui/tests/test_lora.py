"""Which weights LoRAs change, and into what."""
import unittest
from types import SimpleNamespace

from sdtrt import lora

PREFIX = "model.diffusion_model."
NAMES = [
    f"{PREFIX}input_blocks.0.0.weight",
    f"{PREFIX}input_blocks.0.0.bias",
    f"{PREFIX}input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",
    "constant.attention.scale.4",
]
CONV = "diffusion_model_input_blocks_0_0"
TO_Q = "diffusion_model_input_blocks_1_1_transformer_blocks_0_attn1_to_q"


class Row(list):
    """A weight of the shape [1, channels, 1, 1]: one number for each input channel."""

    @property
    def shape(self):
        return (1, len(self), 1, 1)

    def __add__(self, other):
        others = other if isinstance(other, list) else [other] * len(self)
        if len(others) != len(self):
            raise RuntimeError("shapes differ")
        return Row(a + b for a, b in zip(self, others))

    __iadd__ = __add__

    def __getitem__(self, at):
        return Row(list.__getitem__(self, at[1])) if isinstance(at, tuple) else list.__getitem__(self, at)

    def __setitem__(self, at, value):
        list.__setitem__(self, at[1], value)


def network(name="a", strength=1.0, **modules):
    return SimpleNamespace(name=name, unet_multiplier=strength, dyn_dim=None, mtime=1.0, modules=modules)


def adding(delta, bias=None):
    return SimpleNamespace(calc_updown=lambda weight: (delta, bias))


class Loras(unittest.TestCase):
    def test_layers_have_the_names_that_the_web_ui_gives_them(self):
        layers = lora.layers(NAMES)
        self.assertEqual(layers, {CONV: {"weight": NAMES[0], "bias": NAMES[1]}, TO_Q: {"weight": NAMES[2]}})

    def test_what_changes_and_what_does_not_exist(self):
        layers = lora.layers(NAMES)
        text = network(transformer_text_model=None)
        both = [network(**{CONV: None}), network(**{TO_Q: None, "diffusion_model_gone": None}), text]
        self.assertEqual(lora.affected(layers, both), {CONV, TO_Q})
        self.assertEqual(lora.strange(layers, both), {"diffusion_model_gone"})
        self.assertFalse(lora.touches_unet([text]))
        self.assertTrue(lora.touches_unet(both))

    def test_a_state_is_the_names_strengths_and_their_order(self):
        a, b = network("a"), network("b")
        self.assertEqual(lora.state([a, b]), lora.state([network("a"), network("b")]))
        for other in ([b, a], [a], [a, network("b", 0.5)]):
            self.assertNotEqual(lora.state([a, b]), lora.state(other))

    def test_each_sees_what_those_before_have_made(self):
        doubling = SimpleNamespace(calc_updown=lambda weight: (Row(weight), None))
        weight, bias = Row([1, 2, 3, 4]), Row([1])
        found = lora.merge(weight, bias, [adding(Row([1, 1, 1, 1]), Row([5])), doubling])
        self.assertEqual(found, ([4, 6, 8, 10], [6], 0))
        self.assertEqual((weight, bias), ([1, 2, 3, 4], [1]), "the checkpoint's own stay")

    def test_an_inpainting_model_takes_the_loras_of_ordinary_ones(self):
        weight = Row(range(9))
        found = lora.merge(weight, None, [adding(Row([10, 10, 10, 10]))])
        self.assertEqual(found, ([10, 11, 12, 13, 4, 5, 6, 7, 8], None, 0))
        self.assertEqual(weight, list(range(9)))

    def test_what_has_another_shape_is_left_out_as_the_web_ui_does(self):
        fits, other = adding(Row([10] * 8), Row([2])), adding(Row([10, 10, 10, 10]), Row([1]))
        found = lora.merge(Row(range(8)), Row([1]), [other, fits, other])
        self.assertEqual(found, ([10, 11, 12, 13, 14, 15, 16, 17], [3], 2))
        # The web UI makes 14 channels of 9.
        weight = Row(range(9))
        self.assertEqual(lora.merge(weight, None, [adding(Row([10] * 9))]), (weight, None, 1))

    def test_a_gpu_that_fails_is_not_taken_for_another_shape(self):
        def fail(weight):
            raise RuntimeError("CUDA out of memory")

        with self.assertRaises(RuntimeError):
            lora.merge(Row([1]), None, [SimpleNamespace(calc_updown=fail)])

    def test_a_bias_where_there_is_none(self):
        with self.assertRaises(lora.Unsupported):
            lora.merge(Row([1]), None, [adding(Row([1]), Row([1]))])
