"""A UNet's weights as engines read them. Needs torch, with or without a GPU; skipped without torch."""
import ctypes
import gc
import unittest
import weakref

try:
    import torch
except ImportError:
    raise unittest.SkipTest("torch is not installed") from None

from sdtrt import weights
from sdtrt.binding import Input, OutOfMemory, Unfit
from sdtrt.signature import Looks

TABLE = (
    Input("conv.weight", (64, 3, 3, 32), ("conv.weight",), "ohwi"),
    Input("conv.bias", (64,), ("conv.bias",), "plain"),
    Input("point.weight", (64, 32, 1, 1), ("point.weight",), "plain"),
    Input("norm.weight", (64,), ("norm.weight",), "plain"),
    Input("qkv", (192, 64), ("to_q.weight", "to_k.weight", "to_v.weight"), "plain"),
)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(32, 64, 3)
        self.point = torch.nn.Conv2d(32, 64, 1, bias=False)
        self.norm = torch.nn.GroupNorm(8, 64)
        self.to_q, self.to_k, self.to_v = (torch.nn.Linear(64, 64, bias=False) for _ in "qkv")


def read(address, shape):
    """Returns what an engine would read at an address."""
    count = torch.Size(shape).numel()
    return torch.frombuffer((ctypes.c_char * (count * 2)).from_address(address), dtype=torch.float16).reshape(shape)


class Weights(unittest.TestCase):
    def setUp(self):
        for name, stand_in in (("here", lambda: torch.device("cpu")), ("ALIGNMENT", 16)):
            self.addCleanup(setattr, weights, name, getattr(weights, name))
            setattr(weights, name, stand_in)
        torch.manual_seed(0)
        self.unet = Block().half()
        self.looks, self.weights = Looks(), weights.Weights()

    def follow(self, unet=None, fresh=True, table=TABLE):
        unet = unet or self.unet
        self.looks.at(unet)
        return self.weights.follow(unet, self.looks.places(unet), table, fresh)

    def assert_read(self, addresses, unet=None, table=TABLE):
        """Asserts that every input equals the UNet's current parameters."""
        parameters = {name: each.detach().half() for name, each in (unet or self.unet).named_parameters()}
        for each in table:
            expected = torch.cat([parameters[part] for part in each.parts])
            expected = expected.permute(0, 2, 3, 1) if each.layout == "ohwi" else expected
            self.assertTrue(torch.equal(read(addresses[each.name], each.shape), expected), each.name)

    def test_parameters_are_read_where_torch_has_them(self):
        before = {name: each.detach().clone() for name, each in self.unet.named_parameters()}
        addresses = self.follow()
        self.assert_read(addresses)
        for name, each in self.unet.named_parameters():
            self.assertTrue(torch.equal(each, before[name]), name)
        self.assertEqual(addresses["conv.weight"], self.unet.conv.weight.data_ptr(), "nothing is copied")
        self.assertEqual(addresses["qkv"], self.unet.to_q.weight.data_ptr())
        # As a LoRA does.
        with torch.no_grad():
            self.unet.to_k.weight += 1
            self.unet.conv.weight.copy_(self.unet.conv.weight * 2)
            self.unet.norm.weight.zero_()
        self.assertIs(self.follow(fresh=False), addresses)
        self.assertIs(self.follow(), addresses, "nothing changes for the engine")
        self.assert_read(addresses)

    def test_moved_or_replaced_weights_are_bound_again_before_the_next_call(self):
        conv = lambda: torch.nn.Parameter(torch.randn(64, 32, 3, 3).half())

        def move():
            for each in self.unet.parameters():
                each.data = each.data.clone()

        for what, change in (
            ("to the CPU and back", move),
            ("other data", lambda: setattr(self.unet.to_v.weight, "data", torch.randn(64, 64).half())),
            ("another object", lambda: setattr(self.unet.conv, "weight", conv())),
            ("channels last", lambda: self.unet.to(memory_format=torch.channels_last)),
            ("contiguous", lambda: self.unet.to(memory_format=torch.contiguous_format)),
            ("a tensor for a parameter", lambda: self.unet.norm._parameters.update(weight=torch.randn(64).half())),
        ):
            with self.subTest(what):
                before = self.follow()
                # Kept alive, so that nothing new gets their addresses.
                held = [each.data for each in self.unet.parameters()]
                change()
                addresses = self.follow(fresh=False)
                del held
                self.assert_read(addresses)
                if what not in ("channels last",):
                    self.assertIsNot(addresses, before)
                self.assertFalse(self.weights._bound[self.unet].copies, "in place")

    def test_pytorchs_layout_is_restored(self):
        for layout in (torch.contiguous_format, torch.channels_last):
            self.unet.to(memory_format=layout)
            stride = self.unet.conv.weight.stride()
            self.follow()
            self.assertTrue(self.unet.conv.weight.is_contiguous(memory_format=torch.channels_last))
            for restore in (lambda: self.weights.restore(self.unet), self.weights.restore_all):
                restore()
                self.assertEqual(self.unet.conv.weight.stride(), stride)
                self.assert_read(self.follow(fresh=False))
            self.weights.release()
            self.assertEqual(self.unet.conv.weight.stride(), stride)

    def test_parameters_made_in_inference_mode_still_compute(self):
        """ComfyUI executes everything in it, and so patched weights are made in it."""
        unet = self.unet.float()
        x, rows = torch.randn(2, 32, 8, 8), torch.randn(3, 64)
        with torch.inference_mode():
            for layer in unet.modules():
                for name, parameter in list(layer.named_parameters(recurse=False)):
                    layer.register_parameter(name, torch.nn.Parameter(parameter.clone().half(), requires_grad=False))
            self.assert_read(self.follow())
        for state in ("bound", "restored"):
            for inference in (True, False):
                with self.subTest(state, inference=inference), torch.inference_mode(inference), torch.no_grad():
                    torch.nn.functional.linear(rows.half(), unet.to_q.weight)
                    torch.nn.functional.conv2d(x.half(), unet.conv.weight, unet.conv.bias)
            self.weights.restore(unet)
        self.assertTrue(unet.to_q.weight.is_inference())

    def test_other_types_are_copied_at_each_pass(self):
        types = [torch.float32, torch.bfloat16, getattr(torch, "float8_e4m3fn", torch.float32)]
        for dtype in types:
            with self.subTest(dtype):
                unet = Block().to(dtype)
                # As the web UI leaves its norms.
                unet.norm.half()
                addresses = self.follow(unet)
                self.assert_read(addresses, unet)
                self.assertEqual(addresses["norm.weight"], unet.norm.weight.data_ptr(), "what can be is read in place")
                unet.to_q.weight.data.copy_(torch.randn(64, 64).to(dtype))
                self.assertIs(self.follow(unet, fresh=False), addresses)
                self.assertIs(self.follow(unet), addresses)
                self.assert_read(addresses, unet)
                self.assertEqual(unet.conv.weight.dtype, dtype)

    def test_scattered_weights_are_copied_and_stay_where_they_are(self):
        flat = torch.randn(3 * 64 * 64 + 8).half()
        for number, name in enumerate("qkv"):
            getattr(self.unet, f"to_{name}").weight.data = flat[4 + number * 4096:][:4096].view(64, 64).t()
        self.assert_read(self.follow())
        self.assertEqual(list(self.weights._bound[self.unet].copies), ["qkv"])
        self.assertEqual(self.unet.to_q.weight.untyped_storage().data_ptr(), flat.data_ptr())

    def test_weights_that_no_engine_can_read_are_named(self):
        class Quantised(torch.nn.Parameter):
            """A parameter that only its own code can read."""

        def with_norm(weight):
            return lambda unet: unet.norm._parameters.update(weight=weight)

        def gone(unet):
            unet.norm.weight.data.untyped_storage().resize_(0)

        def wide(unet):
            unet.float().conv.bias.data[3] = 7e4

        for said, change in (
            ("has no to_q.weight", lambda unet: unet.to_q._parameters.update(weight=None)),
            ("norm.weight is a Quantised", with_norm(Quantised(torch.ones(64)))),
            ("norm.weight is not a plain", with_norm(torch.ones(64, device="meta"))),
            ("norm.weight is not a plain", with_norm(torch.ones(64).int())),
            ("can't make norm.weight", with_norm(torch.ones(32).half())),
            ("memory of norm.weight", gone),
            ("conv.bias goes up to 7e\\+04", wide),
        ):
            with self.subTest(said):
                unet = Block().half()
                self.follow(unet)
                change(unet)
                with self.assertRaisesRegex(Unfit, said):
                    self.follow(unet)
                self.assertEqual(len(self.weights._bound), 0, "nothing stays bound")
        unet = Block().float()
        unet.conv.bias.data[3] = float("inf")
        self.follow(unet)

    def test_the_device_is_checked(self):
        weights.here = lambda: torch.device("cuda", 0)
        with self.assertRaisesRegex(Unfit, "is on cpu, not on the engine's GPU"):
            self.follow()

    def test_without_enough_memory_every_weight_stays_intact(self):
        names = [name for name, _ in self.unet.named_parameters()]
        before = {name: each.detach().clone() for name, each in self.unet.named_parameters()}
        empty = torch.empty
        self.addCleanup(setattr, torch, "empty", empty)

        def short(*args, **kwargs):
            raise torch.cuda.OutOfMemoryError("out of memory")

        torch.empty = short
        with self.assertRaises(OutOfMemory):
            self.follow()
        torch.empty = empty
        self.weights.restore(self.unet)
        for name, each in self.unet.named_parameters():
            self.assertTrue(torch.equal(each, before[name]) and each.is_contiguous(), name)
        self.assertEqual(names, [name for name, _ in self.unet.named_parameters()])
        self.assert_read(self.follow())

    def test_two_models_alternate_and_none_is_kept_alive(self):
        other = Block().half()
        for unet in (self.unet, other, self.unet):
            self.assert_read(self.follow(unet, fresh=False), unet)
        self.follow(other)
        seen = weakref.ref(other), weakref.ref(other.to_q.weight)
        del other, unet
        gc.collect()
        self.assertEqual([each() for each in seen], [None, None])
