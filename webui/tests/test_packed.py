"""Weights that are fetched into memory of their own. Needs torch, but no GPU."""
from types import SimpleNamespace
from unittest import TestCase, skipIf

from sdtrt.binding import Input, OutOfMemory, Unfit
from sdtrt.packed import Packed, layout

try:
    import torch
except ImportError:
    torch = None

TABLE = (
    Input("qkv", (6, 4), ("q", "k", "v"), "plain"),
    Input("conv", (2, 3, 3, 4), ("conv",), "ohwi"),
    Input("bias", (5,), ("bias",), "plain"),
)


class Layout(TestCase):
    def test_each_input_begins_where_tensorrt_can_read_it(self):
        self.assertEqual(layout(TABLE), ({"qkv": 0, "conv": 256, "bias": 512}, 768))


class Memory:
    def __init__(self, size):
        self.buffer = torch.zeros(size, dtype=torch.uint8)

    def release(self):
        self.buffer = None


class Source:
    """A stand-in for a front end: values by parameter, and what they follow from."""

    def __init__(self):
        make = lambda *shape: torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).half()
        self.values = {name: make(2, 4) for name in "qkv"} | {"conv": make(2, 4, 3, 3), "bias": make(5)}
        self.states, self.fetched, self.memories = dict.fromkeys(self.values, "file"), [], []
        self.room = True

    def shape(self, name):
        if name not in self.values:
            raise Unfit(f"the UNet has no {name}")
        return self.values[name].shape

    def state(self, name):
        return self.states[name]

    def fetch(self, name):
        self.fetched.append(name)
        return self.values[name]

    def allocate(self, size):
        if not self.room:
            raise OutOfMemory("none")
        self.memories.append(Memory(size))
        return self.memories[-1]


@skipIf(torch is None, "torch is not installed")
class Packs(TestCase):
    def setUp(self):
        self.packed, self.source, self.unet = Packed(), Source(), type("Unet", (), {})()

    def follow(self, unet=None, fresh=True, table=TABLE):
        del self.source.fetched[:]
        return self.packed.follow(unet or self.unet, self.source, table, fresh)

    def at(self, addresses, each):
        """What an engine reads there."""
        buffer = self.source.memories[-1].buffer
        start = addresses[each.name] - buffer.data_ptr()
        count = 2 * torch.Size(each.shape).numel()
        return buffer[start : start + count].view(torch.float16).view(each.shape)

    def test_engines_read_the_values_in_their_layout(self):
        found, values = self.follow(), self.source.values
        qkv, conv, bias = (self.at(found, each) for each in TABLE)
        self.assertTrue(torch.equal(qkv, torch.cat([values[name] for name in "qkv"])))
        self.assertTrue(torch.equal(conv.permute(0, 3, 1, 2), values["conv"]))
        self.assertTrue(torch.equal(bias, values["bias"]))

    def test_only_what_has_changed_is_fetched_again(self):
        first = self.follow()
        self.assertIs(self.follow(), first, "the same dictionary, which an engine need not read again")
        self.assertEqual(self.source.fetched, [])
        self.source.states["k"], self.source.values["k"] = "with a LoRA", torch.ones(2, 4).half()
        self.assertIs(self.follow(fresh=False), first)
        self.assertEqual(self.source.fetched, [], "within a pass nothing is looked at")
        found = self.follow()
        self.assertEqual(self.source.fetched, ["q", "k", "v"], "an input as a whole")
        self.assertTrue(torch.equal(self.at(found, TABLE[0])[2:4], torch.ones(2, 4).half()))

    def test_another_model_takes_the_same_memory(self):
        self.follow()
        self.follow(other := type("Unet", (), {})())
        self.assertEqual((len(self.source.memories), len(self.source.fetched)), (1, 5))
        self.follow(other, fresh=False)
        self.assertEqual(self.source.fetched, [])
        self.follow(other, table=TABLE[:2])
        self.assertEqual((len(self.source.memories), self.source.memories[0].buffer), (2, None))

    def test_memory_that_was_taken_back(self):
        self.follow()
        self.source.memories[0].release()
        self.follow(fresh=False)
        self.assertEqual((len(self.source.memories), len(self.source.fetched)), (2, 5))
        self.packed.release()
        self.assertIsNone(self.source.memories[1].buffer)

    def test_what_does_not_fit_holds_nothing(self):
        self.source.values["bias"] = torch.ones(6).half()
        with self.assertRaisesRegex(Unfit, "bias"):
            self.follow()
        self.assertEqual(self.source.memories, [])
        del self.source.values["bias"]
        with self.assertRaisesRegex(Unfit, "no bias"):
            self.follow()
        self.source = Source()
        self.follow()
        self.source.states["bias"], self.source.values["bias"] = "resized", torch.ones(6).half()
        with self.assertRaisesRegex(Unfit, "bias"):
            self.follow()
        self.assertIsNone(self.source.memories[0].buffer)
        self.source = Source()
        self.source.room = False
        with self.assertRaises(OutOfMemory):
            self.follow()

    def test_values_outside_of_the_range_of_fp16(self):
        self.source.values["bias"] = torch.full((5,), 1e5)
        with self.assertRaisesRegex(Unfit, "bias goes up to 1e\\+05"):
            self.follow()

    def test_no_model_is_kept_alive(self):
        self.follow()
        self.unet = None
        self.assertIsNone(self.packed._unet())


@skipIf(torch is None, "torch is not installed")
class Dynamic(TestCase):
    """ComfyUI's dynamic patcher."""

    def setUp(self):
        import sys
        from types import ModuleType
        from unittest.mock import patch

        names = ("model_management", "model_patcher", "float", "utils")
        comfy = {"comfy": ModuleType("comfy")} | {f"comfy.{name}": ModuleType(f"comfy.{name}") for name in names}
        for name in names:
            setattr(comfy["comfy"], name, comfy[f"comfy.{name}"])
        cast = lambda of, device, dtype, copy: of.detach().to(dtype, copy=copy)
        comfy["comfy.model_management"].cast_to_device = cast
        comfy["comfy.float"].stochastic_rounding = self.rounded
        comfy["comfy.utils"].string_to_seed = len
        comfy["comfy.model_patcher"].ModelPatcher = type("ModelPatcher", (), {})
        stand_ins = patch.dict(sys.modules, comfy)
        stand_ins.start()
        self.addCleanup(stand_ins.stop)
        from sdtrt.comfyui.dynamic import Patched

        self.unet = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2, dtype=torch.float16), "b": torch.nn.Linear(2, 2)})
        self.asked = []
        self.patcher = SimpleNamespace(
            patches={"diffusion_model.a.weight": [1]}, patches_uuid="1", backup={"diffusion_model.b.bias": 1},
            load_device="cuda:0", patch_weight_to_device=self.patched,
            model=SimpleNamespace(get_dtype_inference=lambda: torch.float16),
        )
        self.source = Patched(self.patcher, self.unet)

    def patched(self, key, **how):
        self.asked.append((key, how))
        return torch.zeros(2, 2)

    def test_comfyui_patches_what_it_has_not_patched_yet(self):
        self.source.fetch("a.weight")
        how = {"device_to": "cuda:0", "return_weight": True, "force_cast": True}
        self.assertEqual(self.asked, [("diffusion_model.a.weight", how)])
        self.assertIs(self.source.fetch("b.bias"), self.unet["b"].bias, "patched when it was loaded")
        self.assertEqual(len(self.asked), 1)

    def rounded(self, weight, dtype, seed):
        self.asked.append((weight.dtype, dtype, seed))
        return weight.to(dtype)

    def test_a_layer_s_own_function_patches_it_in_the_type_that_it_computes_in(self):
        class Patch:
            """As ComfyUI's: an OFT that only fp32 can compute."""

            def __init__(self, key, patches):
                self.patches = patches[key]

            def __call__(self, weight):
                return weight.mul_(2) if weight.dtype == torch.float32 else weight.add_(len(self.patches))

        layer = self.unet["a"]
        before = layer.weight.detach().clone()
        layer.seed_key, layer.weight_lowvram_function = "a", Patch("diffusion_model.a.weight", self.patcher.patches)
        for kept in (torch.float16, torch.float32, torch.bfloat16):
            with self.subTest(kept):
                layer.weight._model_dtype = kept
                found = self.source.fetch("a.weight")
                self.assertEqual((found.dtype, self.asked.pop()), (kept, (torch.float16, kept, 1)))
                self.assertTrue(torch.equal(found, (before.to(kept).half() + 1).to(kept)))
        self.assertTrue(torch.equal(layer.weight, before), "the layer keeps its own")
        self.assertEqual(self.asked, [])

    def test_what_values_follow_from(self):
        states = lambda: [self.source.state(name) for name in ("a.weight", "b.weight")]
        before = states()
        self.assertEqual(states(), before)
        self.patcher.patches_uuid = "2"
        self.assertEqual([a == b for a, b in zip(states(), before, strict=True)], [False, True])
        before = states()
        with torch.no_grad():
            self.unet["b"].weight.mul_(2)
        self.assertEqual([a == b for a, b in zip(states(), before, strict=True)], [True, False])

    def test_what_nobody_else_can_read(self):
        with self.assertRaisesRegex(Unfit, "no c.weight"):
            self.source.shape("c.weight")
        self.unet["a"].weight = torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.int8), requires_grad=False)
        with self.assertRaisesRegex(Unfit, "int8"):
            self.source.shape("a.weight")
        class QuantizedTensor(torch.Tensor):
            pass
        self.unet["a"]._parameters["weight"] = torch.zeros(2, 2).as_subclass(QuantizedTensor)
        with self.assertRaisesRegex(Unfit, "a QuantizedTensor, which only its own code can read"):
            self.source.fetch("a.weight")
