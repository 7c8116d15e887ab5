"""What a model patcher does to its UNet, and what ComfyUI calls around it. Without torch and ComfyUI: patchers are
objects with the attributes that ComfyUI's have."""
import sys
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from unittest import TestCase
from unittest.mock import patch

from sdtrt.comfyui import front, jobs
from sdtrt.patchers import layers, patches
from sdtrt.patchers.session import Run, Session

UNET = "diffusion_model.out.2.weight"


def patcher(**attributes):
    """A patcher of ComfyUI 0.33 that changes nothing."""
    plain = {"patches": {}, "patches_uuid": "1", "injections": {}, "object_patches": {}, "weight_wrapper_patches": {},
             "hook_patches": {}, "current_hooks": None, "forced_hooks": None}
    return SimpleNamespace(**plain | attributes)


class Changes(TestCase):
    def test_what_no_engine_includes(self):
        options = lambda **of: {"wrappers": {"apply_model": {}}} | of
        for what, of, given in (
            (None, patcher(), options()),
            (None, SimpleNamespace(), {}),
            (None, patcher(patches={UNET: [1]}), options(patches={}, patches_replace={"attn2": {}}, sigmas=1)),
            (None, patcher(object_patches={"model_sampling": 1, "latent_format": 2}), options()),
            ("bypass", patcher(injections={"bypass_lora": [1]}), options()),
            ("bypass", patcher(injections={"ad": [1]}), options()),
            ("exchanged .*diffusion_model.out", patcher(object_patches={"diffusion_model.out": 1}), options()),
            ("exchanged .*manual_cast_dtype", patcher(object_patches={"manual_cast_dtype": 1}), options()),
            ("anew in each call", patcher(weight_wrapper_patches={UNET: [1]}), options()),
            ("hooks", patcher(hook_patches={"a": 1}), options()),
            ("hooks", patcher(current_hooks=object()), options()),
            ("inside of the UNet .*attn2_patch", patcher(), options(patches={"attn2_patch": [1]})),
            ("inside of the UNet .*attn1", patcher(), options(patches_replace={"attn1": {("input", 1): 1}})),
            ("attention", patcher(), options(optimized_attention_override=print)),
            ("torch.compile", patcher(), {"wrappers": {"apply_model": {"torch.compile": [1]}}}),
            # Forge's.
            (None, patcher(has_online_lora=lambda: False, model=SimpleNamespace(model_lowvram=False)), options()),
            ("LoRAs are applied anew in each call", patcher(has_online_lora=lambda: True), options()),
            ("in part", patcher(model=SimpleNamespace(model_lowvram=True)), options()),
            (None, patcher(model=SimpleNamespace(model_lowvram=True), is_dynamic=lambda: True), options()),
            ("inside of the UNet .*block_modifiers", patcher(), options(block_modifiers=[1])),
            ("inside of the UNet .*block_inner_modifiers", patcher(), options(block_inner_modifiers=[1])),
            ("inside of the UNet .*group_norm_wrapper", patcher(), options(group_norm_wrapper=print)),
            (None, patcher(), options(block_modifiers=[], group_norm_wrapper=None)),
        ):
            with self.subTest(what):
                found = patches.obstacle(of, given)
                if what is None:
                    self.assertIsNone(found)
                else:
                    self.assertRegex(found, what)

    def test_sizes_at_which_a_level_rounds_have_another_edge(self):
        down = type("Downsample", (), {})
        for levels, sides, said in (
            (3, (64, 64), None), (3, (72, 104), None), (3, (65, 69), "multiples of 64"),
            (3, (64, 68), "multiples of 64"), (2, (68, 100), None), (2, (66, 64), "multiples of 32"),
            (0, (65, 69), None),
        ):
            with self.subTest(levels=levels, sides=sides):
                session = Session.__new__(Session)
                unet = SimpleNamespace(input_blocks=[["conv"], *([down()] for _ in range(levels)), ["attention"]])
                session._run, session._sides = Run(patcher(), unet, None), sides
                found = session.obstacle()
                self.assertEqual(found is None, said is None, found)
                self.assertIn(said or "", found or "")

    def test_what_determines_the_weights(self):
        text = {"clip_l.text_model.weight": [1]}
        for given, touch in (({}, False), (text, False), ({UNET: [1]}, True), ({(UNET, (0, 0, 4)): [1]}, True)):
            self.assertEqual(patches.touch_unet(patcher(patches=given)), touch)
        # Forge's own: by file, strengths and whether they are applied anew in each call.
        older = lambda *loras: SimpleNamespace(lora_patches={("a.safetensors", each, 1.0, False): {UNET: [1]}
                                                             for each in loras})
        self.assertTrue(patches.touch_unet(older(0.5)))
        self.assertFalse(patches.touch_unet(SimpleNamespace(lora_patches={("a", 1.0, 1.0, False): text})))
        self.assertEqual(patches.state(older(0.5)), patches.state(older(0.5)))
        self.assertEqual(len({patches.state(older(*each)) for each in ((), (0.5,), (0.7,), (0.5, 0.7))}), 4)
        self.assertEqual(patches.state(patcher(patches=text)), (), "as in the file")
        states = [patches.state(patcher(patches={UNET: [1]}, patches_uuid=each)) for each in "121"]
        self.assertEqual(states[0], states[2])
        self.assertNotEqual(states[0], states[1])


class Layer:
    """A stand-in for a layer; this test is the front end that it is from."""

    weight_function = ()

    def forward(self):
        """The class's own method."""


class Inserted(Layer):
    """Another extension's."""


class Tree:
    def __init__(self, **parts):
        self.parts = {"": Layer(), "out": Layer()} | parts

    def named_modules(self):
        return self.parts.items()


class Layers(TestCase):
    def test_what_others_have_changed(self):
        replaced, own, hooked, lazy = Layer(), Layer(), Layer(), Layer()
        replaced.forward = lambda: None
        # Extensions that have ended leave the class's own method behind.
        own.forward = own.forward
        hooked._forward_hooks = {1: print}
        lazy.weight_function = [print]
        inserted = type("Inserted", (Layer,), {"__module__": "others.nodes"})()
        here = (__name__.partition(".")[0],)
        for part, packages, found in (
            (Layer(), here, None),
            (own, here, None),
            (Layer(), ("comfy",), "the whole"),
            (replaced, here, "a"),
            (hooked, here, "a"),
            (lazy, here, "a"),
            (inserted, here, "a"),
        ):
            self.assertEqual(layers.altered(Tree(a=part), packages), found)

    def test_what_the_front_ends_own_layers_do(self):
        for found, of in (
            (None, {}),
            (None, {"padding_mode": "zeros", "scale_weight": None, "weight": None}),
            ("tiling is on", {"padding_mode": "circular"}),
            ("a is quantised, with a scale_weight", {"scale_weight": 1}),
            ("a is quantised, with a weight_scale", {"weight_scale": 1}),
            (r"a is quantised \(ParameterGGUF\)", {"weight": type("ParameterGGUF", (), {})()}),
            (None, {"weight": type("Parameter", (), {})()}),
        ):
            layer = Layer()
            vars(layer).update(of)
            with self.subTest(found):
                said = layers.special(Tree(a=layer))
                self.assertIsNone(said) if found is None else self.assertRegex(said, found)

    def test_whose_code_is_in_a_file(self):
        comfy, torch = ModuleType("comfy"), ModuleType("torch")
        comfy.__path__, torch.__path__ = ["/c/comfy"], ["/v/lib/python3/site-packages/torch"]
        front.is_own.cache_clear()
        self.addCleanup(front.is_own.cache_clear)
        with patch.dict(sys.modules, {"comfy": comfy, "torch": torch}):
            for file, is_own, is_extension in (
                ("/c/comfy/ops.py", True, False),
                ("/c/custom_nodes/others/nodes.py", False, True),
                ("/v/lib/python3/site-packages/torch/nn/functional.py", True, False),
                ("/v/lib/python3/site-packages/sageattention/core.py", False, False),
                (contextmanager.__code__.co_filename, True, False),
                ("<string>", True, False),
                ("/c/comfyui_extra/a.py", False, False),
            ):
                self.assertEqual((front.is_own(file), front.is_extension(file)), (is_own, is_extension), file)


class Executor:
    """ComfyUI's own, as it is in 0.3.64 and 0.33."""

    def __init__(self, original, class_obj, wrappers, idx=0):
        self.original, self.class_obj, self.wrappers, self.idx = original, class_obj, wrappers, idx

    def __call__(self, *args, **kwargs):
        return Executor(self.original, self.class_obj, self.wrappers, self.idx + 1).execute(*args, **kwargs)

    def execute(self, *args, **kwargs):
        if self.idx == len(self.wrappers):
            return self.original(*args, **kwargs)
        return self.wrappers[self.idx](self, *args, **kwargs)


class Model:
    """A stand-in for ComfyUI's UNet."""

    def _forward(self, x, *args, **kwargs):
        return f"PyTorch's of {x.name}"


class Tensor:
    def __init__(self, name="x", device="cuda"):
        self.name, self.device = name, device


class ComfyUi(TestCase):
    """What serves ComfyUI's calls."""

    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.front = front.ComfyUi()
        self.said = []
        self.front.say = self.said.append
        self.jobs = jobs.Jobs(folder.name, self.front)
        self.jobs.index_file.problem = None
        for name, stand_in in (
            ("gpu_of", lambda tensor: 0 if tensor.device == "cuda" else None),
            ("is_compiling", lambda: False),
            ("is_unet", lambda unet: isinstance(unet, Model)),
        ):
            self.addCleanup(setattr, jobs, name, getattr(jobs, name))
            setattr(jobs, name, stand_in)
        self.session = self.jobs._session(0)
        self.served = []
        self.session.compute = self.compute

    def compute(self, run, x, timesteps, context, y):
        self.served.append(run)
        return f"the engine's of {x.name}"

    def call(self, *others, x=None, patcher="patcher", original=None, unet=None, **kwargs):
        """Calls a model whose UNet has our wrapper first, and those of others behind it."""
        unet = unet or Model()
        wrappers = [lambda *args, **of: self.jobs.unet(None, *args, **of), *others]
        forward = lambda *args, **of: Executor(original or unet._forward, unet, wrappers).execute(*args, **of)
        model = SimpleNamespace(current_patcher=patcher)
        arguments = (x or Tensor(), Tensor("t"), kwargs.pop("context", Tensor("context")))
        return Executor(forward, model, [self.jobs.model]).execute(*arguments, **kwargs)

    def test_the_engine_is_inside_of_others_wrappers(self):
        order = []
        def other(executor, x, *args, **kwargs):
            order.append(len(self.served))
            return f"{executor(Tensor('changed'), *args, **kwargs)}, wrapped"
        self.assertEqual(self.call(other), "the engine's of changed, wrapped")
        self.assertEqual(order, [0], "it comes first")
        self.assertEqual(self.served[0].patcher, "patcher", "the one that executes")

    def test_what_pytorch_computes_and_why(self):
        def foreign(*args, **kwargs):
            return "somebody's"
        for why, result, of in (
            ("NVIDIA GPU", "PyTorch's of x", {"x": Tensor(device="cpu")}),
            ("patcher", "PyTorch's of x", {"patcher": None}),
            ("replaced", "somebody's", {"original": foreign}),
            ("prompt", "PyTorch's of x", {"context": None}),
        ):
            for _ in range(2):
                self.assertEqual(self.call(**of), result)
            self.assertRegex(self.said.pop(), f"{why}.*; PyTorch computes$")
            self.assertEqual(self.said, [], "once")
        other = type("Flux", (), {"forward": lambda self, *args: "another's"})()
        self.assertEqual(self.call(unet=other, original=other.forward), "another's")
        self.assertRegex(self.said.pop(), "a Flux; PyTorch")
        self.jobs.index_file.problem = "index.json does not exist: is sdtrtd running?"
        self.assertEqual(self.call(), "PyTorch's of x")
        self.assertEqual(self.said, ["index.json does not exist: is sdtrtd running?; PyTorch computes"])
        self.assertEqual(self.served, [])

    def test_a_call_that_is_compiled_is_left_alone(self):
        jobs.is_compiling = lambda: True
        self.assertEqual(self.call(), "PyTorch's of x")
        self.assertEqual(self.said, [])

    def test_a_job_looks_at_the_index_and_at_each_gpu_anew(self):
        done = []
        self.session.unet.start_job = lambda: done.append("start")
        self.session.unet.end_job = lambda restores: done.append("end") or {}
        self.jobs.index_file.refresh = lambda: done.append("index")
        def fails(*args):
            raise RuntimeError("interrupted")
        self.assertEqual(Executor(lambda *args: "latent", None, [self.jobs.job]).execute(1, 2), "latent")
        with self.assertRaises(RuntimeError):
            Executor(fails, None, [self.jobs.job]).execute(1, 2)
        self.assertEqual(done, ["index", "start", "end"] * 2)

    def test_a_failed_pass_is_repeated_with_what_it_was_given(self):
        from sdtrt.patchers import repeat
        from sdtrt.watch import Repeat
        watches, given = [], []
        @contextmanager
        def watched(watch):
            watches.append(watch)
            yield
            if len(watches) == 1:
                raise Repeat(("failed",))
        self.session.unet.watched = watched
        def sample(model_wrap, sigmas, extra_args, callback, noise):
            given.append(noise.values)
            # Samplers may write into what they are given.
            noise.values = "spoiled"
            return "latent"
        noise = SimpleNamespace(values="noise", clone=lambda: SimpleNamespace(values="noise"))
        with patch.object(repeat, "random_states", lambda gpu: "states"), patch.object(
            repeat, "put_random_states", lambda gpu, states: given.append(states)
        ):
            run = Executor(sample, None, [self.jobs.a_pass])
            self.assertEqual(run.execute("model", Tensor(), {"model_options": {}}, None, noise), "latent")
            self.assertEqual(given, ["noise", "states", "noise"])
            self.assertEqual([watch.found for watch in watches], [(), ("failed",)])
            del given[:]
            several = {"model_options": {"multigpu_clones": {}}}
            self.assertEqual(run.execute("model", Tensor(), several, None, noise), "latent")
            self.assertEqual((given, len(watches)), (["noise"], 2), "several GPUs check each output at once")

    def test_a_thread_for_one_of_several_gpus_lets_the_others_capture(self):
        done = []
        with patch.object(jobs, "ignore_captures", lambda: done.append(1)):
            for options, times in ({}, 0), ({"multigpu_thread_device": "cuda:1"}, 1):
                model = Executor(lambda **given: "latent", Model(), [self.jobs.model])
                self.assertEqual((model.execute(transformer_options=options), len(done)), ("latent", times))

    def test_the_file_of_a_model(self):
        loaded = ("load_checkpoint", ("/models/a.safetensors", "embeddings"))
        for init, path in ((loaded, "/models/a.safetensors"), ((*loaded, 0), "/models/a.safetensors"), (None, None),
                           (("make", ()), None), (("make", (object(),)), None)):
            self.assertEqual(self.front.path(SimpleNamespace(cached_patcher_init=init)), path)
        self.assertIsNone(self.front.path(SimpleNamespace()), "0.3.64")

    def test_fast(self):
        comfy, args = ModuleType("comfy"), ModuleType("comfy.cli_args")
        with patch.dict(sys.modules, {"comfy": comfy, "comfy.cli_args": args}):
            for given, why in ((set(), None), ({"fp8_matrix_mult"}, "ComfyUI runs with --fast")):
                args.args = SimpleNamespace(fast=given)
                self.assertEqual(self.front.approximation(), why)


class Imports(TestCase):
    def test_our_part_imports_no_tensorrt(self):
        for module in (jobs, front, patches, layers):
            self.assertNotIn("tensorrt_rtx", vars(module))
        self.assertFalse([name for name in sys.modules if name.startswith("tensorrt")])
