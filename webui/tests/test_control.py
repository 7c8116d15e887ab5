"""What ControlNets add: which engines take it, and how it is read from a front end."""
import json
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from unittest import TestCase
from unittest.mock import patch

from sdtrt import index, residuals
from sdtrt.a1111 import controlnet, hooks
from sdtrt.patchers import controls
from sdtrt.patchers.session import Run, Session
from sdtrt.residuals import MIDDLE, Misfit, Residuals

from . import samples
from .test_unet import Served


class Tensor(samples.Shaped):
    """A stand-in for a residual."""

    def expand(self, shape):
        if any(own not in (1, wanted) for own, wanted in zip(self.shape, shape, strict=True)):
            raise RuntimeError("it can't be expanded")
        return Tensor(*shape)

    def new_zeros(self, shape):
        return "zeros", shape


def parameters():
    """The shapes of a small UNet's weights: halved once and twice, with a transformer and a pruned block."""
    return {
        "time_embed.0.weight": (8, 2), "input_blocks.0.0.weight": (2, 4, 3, 3), "input_blocks.0.0.bias": (2,),
        "input_blocks.1.0.in_layers.2.weight": (3, 2, 3, 3), "input_blocks.1.0.emb_layers.1.weight": (3, 8),
        "input_blocks.1.0.out_layers.3.weight": (3, 3, 3, 3), "input_blocks.1.0.skip_connection.weight": (3, 2, 1, 1),
        "input_blocks.1.1.proj_in.weight": (3, 3), "input_blocks.1.1.norm.weight": (3,),
        "input_blocks.2.0.op.weight": (3, 3, 3, 3), "input_blocks.3.1.proj_in.weight": (3, 3),
        "input_blocks.10.0.op.weight": (5, 3, 3, 3), "output_blocks.0.0.out_layers.3.weight": (7, 8, 3, 3),
    }


class Shapes(TestCase):
    def test_follow_from_the_weights_and_the_latent(self):
        found = residuals.shapes(parameters(), (2, 4, 9, 16))
        self.assertEqual(list(found), [*(f"residual.{number}" for number in range(11)), MIDDLE])
        for name, shape in (("0", (2, 2, 9, 16)), ("1", (2, 3, 9, 16)), ("2", (2, 3, 5, 8)), ("3", (2, 3, 5, 8)),
                            ("9", (2, 3, 5, 8)), ("10", (2, 5, 3, 4)), ("middle", (2, 5, 3, 4))):
            self.assertEqual(found[f"residual.{name}"], shape, name)

    def test_inputs_have_them(self):
        shapes = {"residual.0": (2, 3, 8, 8), "residual.1": (2, 5, 4, 4), MIDDLE: (2, 5, 4, 4)}
        x = Tensor(2, 4, 8, 8)
        found = Residuals((Tensor(2, 3, 8, 8), None), Tensor(1, 5, 1, 1)).inputs(shapes, x)
        self.assertEqual(found.keys(), shapes.keys())
        self.assertEqual(found["residual.1"], ("zeros", (2, 5, 4, 4)))
        self.assertEqual(found[MIDDLE].shape, (2, 5, 4, 4), "of the average over the picture")
        for skips, middle, said in (
            ((None,), Tensor(2, 5, 4, 4), "1 residuals for the UNet's 2 skip connections"),
            ((Tensor(2, 4, 8, 8), None), None, "residual.0 has the shape 2×4×8×8 and not 2×3×8×8"),
            ((None, None), Tensor(2, 5, 4, 3), "residual.middle"),
        ):
            with self.assertRaisesRegex(Misfit, said):
                Residuals(skips, middle).inputs(shapes, x)
        self.assertIsNone(Residuals.of([None, None], None))
        self.assertIsNotNone(Residuals.of([None, x], None))

    def test_pytorch_is_given_the_same(self):
        x, steps, text = samples.call()
        y, middle, skip = (samples.Shaped(1) for _ in range(3))
        shapes = lambda: {"residual.0": (1,), MIDDLE: (1,)}
        added = SimpleNamespace(inputs=lambda shapes, like: {"residual.0": skip, MIDDLE: middle})
        for given, expected in (
            ((None, None), {}), ((y, None), {"y": y}),
            ((y, added), {"y": y, "residuals": Residuals((skip,), middle)}),
            ((None, added), {"residuals": Residuals((skip,), middle)}),
        ):
            first, others = residuals.parted(residuals.gathered(x, steps, text, *given, shapes))
            self.assertEqual((first, others), ([x, steps, text], expected))


class Controlled(Served):
    """A web UI with engines that take what ControlNets add."""

    def setUp(self):
        super().setUp()
        # It needs torch.
        recording = SimpleNamespace(added=lambda unet, residuals: nullcontext())
        stand_in = patch.dict(sys.modules, {"sdtrt.recording": recording})
        stand_in.start()
        self.addCleanup(stand_in.stop)

    def publish(self, *engines, controlnet=()):
        super().publish(*engines)
        tree = json.loads((self.folder / "index.json").read_text())
        for signature in tree["signatures"]:
            signature["controlnet"] = list(controlnet)
        (self.folder / "index.json").write_text(json.dumps(tree))

    def compute(self, unet, added=True):
        unet.looks.residuals = lambda unet, sample: {"residual.0": (2,), MIDDLE: (2,)}
        given = {"residuals": Residuals((None,), Tensor(2))} if added else {}
        x, *others = samples.call()
        x.new_zeros = lambda shape: samples.Shaped(*shape)
        return unet.forward(x, *others, **given)


class Choice(Controlled):
    """Which engine serves a call to which ControlNets add."""

    def test_engines_without_residuals_serve_only_calls_without(self):
        unet = self.start(samples.engine())
        self.assertEqual(self.compute(unet, added=False), "engine's of a")
        self.assertEqual(self.compute(unet), "PyTorch's of a")
        self.assertIn("a ControlNet is active, and there is no engine for it (a preset with `controlnet = true`",
                      " ".join(self.gpu.said))

    def test_a_call_with_residuals_is_no_shape_in_use(self):
        unet = self.start(samples.engine())
        self.publish(samples.engine(), controlnet=[samples.engine("control")])
        self.webui.job()
        self.compute(unet)
        self.assertEqual(unet.end_job(), {})
        self.compute(unet, added=False)
        self.assertEqual(len(unet.end_job()), 1)

    def test_engines_with_residuals_serve_only_calls_with_some(self):
        unet = self.start(samples.engine())
        self.publish(samples.engine(), controlnet=[samples.engine("control")])
        self.webui.job()
        for added, expected in ((True, "control's of a"), (False, "engine's of a"), (True, "control's of a")):
            self.assertEqual(self.compute(unet, added), expected)
        self.publish(samples.engine(), controlnet=[samples.engine("control", profiles=[samples.fixed(640, 640)])])
        self.webui.job()
        self.assertEqual(self.compute(unet), "PyTorch's of a")
        self.assertIn("640x640 takes width 640 and height 640", " ".join(self.gpu.said))

    def test_without_any_engine_that_is_the_reason(self):
        unet = self.start(samples.engine())
        self.publish()
        self.webui.job()
        self.assertEqual(self.compute(unet), "PyTorch's of a")
        self.assertNotIn("controlnet = true", " ".join(self.gpu.said))

    def test_the_index_has_them_apart(self):
        self.start(samples.engine())
        own = samples.engine("control", plan="/nowhere/control.engine", manifest="/nowhere/control.json")
        self.publish(samples.engine(plan="/nowhere/engine.engine"), controlnet=[own])
        found = index.parse((self.folder / "index.json").read_text())
        signature = samples.signature_of()
        self.assertEqual([engine.id for engine in found.shared(signature)], ["engine"])
        self.assertEqual([engine.id for engine in found.controlled(signature)], ["control"])
        self.assertEqual(found.controlled("another"), ())
        (self.folder / "engines").mkdir()
        moved = index.beside(found, self.folder).controlled(signature)
        self.assertEqual(moved[0].plan, self.folder / "engines/control.engine")


class UnetHook:
    """As sd-webui-controlnet's, as far as it is looked at."""

    def __init__(self, *kinds, attention=()):
        self.control_params = [SimpleNamespace(control_model_type=SimpleNamespace(name=kind)) for kind in kinds]
        self.attn_module_list = list(attention)

    def hook(self, model, compute):
        outer = self

        def forward_webui(self, *args, **kwargs):
            return compute(outer, *args, **kwargs)

        forward_webui.__qualname__ = controlnet.ITS_OWN
        model.forward = forward_webui.__get__(model)


class Recorded(Controlled):
    """What happens to ControlNet's own forward in A1111."""

    def hooked(self, *kinds, **others):
        UnetHook(*kinds, **others).hook(self.webui.torch_unet, lambda *args, **kwargs: "ControlNet's")

    def test_units_that_do_more_than_add_residuals_are_recognised(self):
        unet = self.start(samples.engine())
        self.publish(samples.engine(), controlnet=[samples.engine("control")])
        for kinds, said in (
            (["ControlNet", "T2I_Adapter"], "a T2I adapter"), (["AttentionInjection"], "reference-only"),
            (["IPAdapter", "ControlNet"], "an IP-Adapter"), (["Controlllite"], "a ControlLLLite"),
            (["ReVision"], "Revision"), (["T2I_StyleAdapter"], "style adapter"), (["MasaCtrl"], "MasaCtrl"),
        ):
            with self.subTest(kinds):
                del self.gpu.said[:]
                self.hooked(*kinds)
                theirs = self.webui.torch_unet.forward
                self.webui.job()
                self.assertIs(self.webui.torch_unet.forward, theirs)
                self.assertIn(said, " ".join(self.gpu.said))
                self.assertEqual(unet.forward(*samples.call()), "PyTorch's of a")
                hooks.after_job()

    def test_it_stays_as_it_is_without_an_engine_and_after_a_job(self):
        self.start(samples.engine())
        self.hooked("ControlNet", "ControlLoRA", "ControlNetUnion")
        theirs = vars(self.webui.torch_unet)["forward"]
        self.webui.job()
        self.assertIsInstance(self.webui.torch_unet.forward, controlnet.Recording)
        x, steps, text = samples.call()
        x.ndim = 4
        self.assertEqual(self.webui.torch_unet.forward(x, timesteps=steps, context=text), "ControlNet's")
        self.assertIn("controlnet = true", " ".join(self.gpu.said))
        hooks.after_job()
        self.assertIs(vars(self.webui.torch_unet)["forward"], theirs)

    def test_what_works_inside_of_attention_is_recognised(self):
        self.start(samples.engine())
        self.hooked("ControlNet", attention=["a block"])
        self.webui.job()
        self.assertNotIsInstance(self.webui.torch_unet.forward, controlnet.Recording)
        self.assertIn("inside of attention", " ".join(self.gpu.said))


class Controls(TestCase):
    """What front ends with patchers hand over."""

    def test_only_what_engines_take_is_theirs(self):
        for control, said in (
            (None, None), ({}, None), ({"input": [], "middle": [1], "output": [2, None]}, None),
            ({"input": [None, None], "output": [1]}, None), ({"input": [None, 1], "output": [1]}, "T2I adapter.*input"),
            ({"another": [1]}, "another"), ({"output": (1, 2)}, "unknown"), (object(), "unknown"),
        ):
            found = controls.obstacle(control)
            if said is None:
                self.assertIsNone(found, control)
            else:
                self.assertRegex(found, said)

    def test_lists_are_taken_from_their_ends(self):
        for control, expected in (
            (None, None), ({"output": [None] * 3, "middle": []}, None), ({"input": [None]}, None),
            ({"output": [1, 2, 3], "middle": [4]}, ((1, 2, 3), 4)), ({"output": [1, 2]}, ((None, 1, 2), None)),
            ({"output": [9, 1, 2, 3], "middle": [8, 4]}, ((1, 2, 3), 4)), ({"middle": [4]}, ((None,) * 3, 4)),
        ):
            before = repr(control)
            self.assertEqual(controls.residuals(control, 3), expected)
            self.assertEqual(repr(control), before, "they stay as they are")

    def test_pytorch_is_given_lists_of_its_own_each_time(self):
        control, seen = {"output": [1, 2], "middle": [3]}, []

        def original(x, timesteps, context, y, control, options):
            seen.append((control["output"].pop(), control["middle"].pop()))

        session = Session.__new__(Session)
        run = session._run = Run(None, None, original, control)
        session.torch_forward("x", "timesteps", "context", residuals="the same")
        run.in_torch("x", "timesteps", "context")
        self.assertEqual((seen, control), ([(2, 3)] * 2, {"output": [1, 2], "middle": [3]}))

    def test_whose_residuals_they_are_is_nothing_that_engines_miss(self):
        seen = []
        session = Session.__new__(Session)
        session.unet = SimpleNamespace(forward=lambda *args, **given: seen.append(given))
        unet = SimpleNamespace(input_blocks=[[], []])
        for others in ({"control_model": "Forge Neo's"}, {"control_model": None, "another": 5}):
            run = Run(None, unet, None, {"output": [1, 2]}, {}, others)
            session.compute(run, samples.Shaped(2, 4, 64, 64), "timesteps", "context", None)
        self.assertEqual([sorted(given) for given in seen], [["residuals"], ["another", "residuals"]])
