"""A UNet's signature, and how an engine's inputs are derived from it."""
import gc
import hashlib
import json
import unittest
from types import SimpleNamespace

from sdtrt import binding, signature

from .web_ui import Parameter, TorchUnet


def manifest(*inputs, version=1):
    return json.dumps({"binding": {"version": version, "inputs": inputs}})


def tree(name="a", shape=(4, 4), parts=("a",), layout="plain"):
    return {"name": name, "shape": shape, "parts": parts, "layout": layout}


class Wrapper:
    """A module with a UNet inside."""

    def __init__(self, prefix, unet):
        self._prefix, self._unet = prefix, unet

    def named_modules(self):
        yield "", SimpleNamespace(_parameters={})
        for path, module in self._unet.named_modules():
            yield f"{self._prefix}.{path}" if path else self._prefix, module


class Signatures(unittest.TestCase):
    def test_the_text_is_the_daemons(self):
        shapes = {"out.0.bias": (320,), "input_blocks.0.0.weight": (320, 4, 3, 3), "Z": (), "é": (1,)}
        heads = {"b.attn1": 8, "a.attn2": 16}
        text = (
            "sdtrt signature 1\n"
            "Z \n"
            "input_blocks.0.0.weight 320x4x3x3\n"
            "out.0.bias 320\n"
            "é 1\n"
            "heads a.attn2 16\n"
            "heads b.attn1 8\n"
        )
        self.assertEqual(signature.text(shapes, heads), text)
        self.assertEqual(signature.signature(shapes, heads), hashlib.sha256(text.encode()).hexdigest())

    def test_the_value_is_the_same_in_a_test_of_the_daemon(self):
        shapes = {"a": (4,), "b": (), "b.attn1.to_q.weight": (64, 32)}
        pinned = "04116fd7e2fa7874337e71aad1a6f5a19226a7a473fc281c80c1699233a1b97d"
        self.assertEqual(signature.signature(shapes, {"b.attn1": 8}), pinned)

    def test_a_live_unet_has_it_by_its_own_names(self):
        unet = TorchUnet("a")
        shapes = {f"{part}.weight": (4, 4) for part in unet.parts}
        self.assertEqual(signature.Looks().signature(unet), signature.signature(shapes, {"middle_block": 8}))

    def test_a_unet_inside_a_wrapper_has_the_names_that_the_daemon_gives_it(self):
        unet = TorchUnet("a")
        looks, plain = signature.Looks(), signature.Looks().signature(unet)
        for prefix in ("diffusion_model", "model.diffusion_model"):
            wrapper = Wrapper(prefix, unet)
            self.assertEqual(looks.signature(wrapper), plain)
            self.assertEqual(looks.places(wrapper).keys(), {f"{part}.weight" for part in unet.parts})

    def test_only_what_all_names_have_is_left_out(self):
        for names, expected in (
            (("diffusion_model.a", "diffusion_model.b"), "diffusion_model."),
            (("model.diffusion_model.a",), "model.diffusion_model."),
            (("diffusion_model.a", "out.b"), ""),
            (("diffusion_models.a",), ""),
            ((), ""),
        ):
            self.assertEqual(signature.prefix(names), expected)

    def test_what_changes_it_and_what_does_not(self):
        looks, unet = signature.Looks(), TorchUnet("a")
        plain = looks.at(unet)
        self.assertEqual(plain.new, ())
        part = unet.parts["out"]
        for what, change, differs, new in (
            ("other weights", lambda: part._parameters.update(weight=Parameter(part, 4, 4)), False, ()),
            ("a bias", lambda: part._parameters.update(bias=Parameter(part, 4)), True, ("out.bias",)),
            ("no bias", lambda: part._parameters.update(bias=None), False, ()),
            ("another shape", lambda: part._parameters.update(weight=Parameter(part, 8, 4)), True, ()),
            ("other heads", lambda: setattr(unet.parts["middle_block"], "heads", 4), True, ()),
        ):
            with self.subTest(what):
                change()
                look = looks.at(unet)
                self.assertEqual((look.signature != plain.signature, look.new), (differs, new))
                self.assertEqual(looks.signature(unet), look.signature)

    def test_it_is_computed_once_and_keeps_no_unet_alive(self):
        looks, unet = signature.Looks(), TorchUnet("a")
        found, computed = signature.signature, []
        signature.signature = lambda *of: (computed.append(of), found(*of))[1]
        self.addCleanup(setattr, signature, "signature", found)
        for _ in range(3):
            looks.at(unet)
            looks.signature(unet)
        self.assertEqual(len(computed), 1)
        self.assertIn("out.weight", looks.places(unet))
        del unet
        gc.collect()
        self.assertEqual(len(looks._seen) + len(looks._places), 0)


class Bindings(unittest.TestCase):
    def test_a_manifest_lists_the_inputs(self):
        found = binding.parse(manifest(tree(), tree("q+k", [8, 4], ["q", "k"])))
        self.assertEqual(found[1], binding.Input("q+k", (8, 4), ("q", "k"), "plain"))

    def test_what_is_refused(self):
        for text, said in (
            ("{", "damaged"), ("{}", "damaged"), ('{"binding": null}', "damaged"), (manifest(), "damaged"),
            (manifest(tree(), version=2), "version 2"),
            (manifest(tree(layout="packed")), "packed"),
            (manifest(tree(parts=[])), "0 parts"),
            (manifest(tree(parts=["a", "b"], layout="ohwi")), "ohwi of 2 parts"),
            (manifest(tree(), tree("b")), "read exactly once"),
        ):
            with self.assertRaisesRegex(binding.Unreadable, said):
                binding.parse(text)
        with self.assertRaisesRegex(binding.Unreadable, "can't be read"):
            binding.read("/nowhere.json")

    def test_the_parts_shapes_must_fit_the_input(self):
        for layout, shape, parts, fits in (
            ("plain", (4, 4), [(4, 4)], True), ("plain", (4, 4), [(4, 5)], False), ("plain", (), [()], True),
            ("plain", (6, 4), [(2, 4), (4, 4)], True), ("plain", (6, 4), [(2, 4), (4, 5)], False),
            ("plain", (6, 4), [(2, 4), (3, 4)], False), ("plain", (6,), [(2,), (4,)], True),
            ("plain", (6,), [(2,), ()], False),
            ("ohwi", (8, 3, 2, 4), [(8, 4, 3, 2)], True), ("ohwi", (8, 4, 3, 2), [(8, 4, 3, 2)], False),
            ("ohwi", (8, 4), [(8, 4)], False),
        ):
            names = tuple(str(number) for number in range(len(parts)))
            misfit = binding.Input("a", shape, names, layout).misfit(parts)
            self.assertEqual(misfit is None, fits, (layout, shape, parts, misfit))
