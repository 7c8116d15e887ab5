"""What Forge's family calls: a function in place of its model, around its UNet, before each step. Without torch and
Forge: patchers, models and UNets are objects with the attributes that Forge's have."""
import sys
from copy import deepcopy
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from unittest import TestCase
from unittest.mock import patch

from sdtrt.forge import front, jobs, wrapper
from sdtrt.patchers.labels import AUTOMATIC, NEVER


class Unet:
    """A stand-in for Forge's UNet."""

    def forward(self, x, timesteps=None, context=None, y=None, control=None, transformer_options=None, **others):
        return f"PyTorch's of {x.name}"

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)


class Wrapped:
    """One whose forward calls others' wrappers around `_forward`, as reForge's does."""

    def _forward(self, x, *args, **kwargs):
        return f"PyTorch's of {x.name}"

    def forward(self, *args, **kwargs):
        return f"{self._forward(*args, **kwargs)}, wrapped"

    __call__ = forward


class Model:
    def __init__(self, unet):
        self.diffusion_model = unet

    def apply_model(self, x, t, c_crossattn=None, control=None, transformer_options=None, **others):
        return f"denoised {self.diffusion_model(x, t, context=c_crossattn, control=control, **others)}"


class Patcher:
    def __init__(self, model, options=None):
        self.model, self.model_options = model, options or {}
        self.patches, self.patches_uuid = {}, "1"

    def clone(self):
        return Patcher(self.model, deepcopy(self.model_options))

    def set_model_unet_function_wrapper(self, function):
        self.model_options[wrapper.SLOT] = function


class Tensor:
    def __init__(self, name="x", device="cuda"):
        self.name, self.device = name, device


def given(x="x", **changes):
    """What a sampler gives to the function in the slot."""
    return {"input": Tensor(x), "timestep": Tensor("t"), "c": {"c_crossattn": Tensor("context")} | changes}


def sampled(patcher, **changes):
    """Calls a patcher's model as its sampler does."""
    apply, args = patcher.model.apply_model, given(**changes)
    function = patcher.model_options.get(wrapper.SLOT)
    return function(apply, args) if function else apply(args["input"], args["timestep"], **args["c"])


class Slot(TestCase):
    def compute(self, unet, original, *args, **kwargs):
        self.seen.append((unet, original, args, kwargs))
        return original and f"the engine's of {args[0].name}"

    def setUp(self):
        self.seen = []

    def test_the_engine_computes_within_the_model(self):
        engines = "denoised the engine's of x"
        for unet, result in ((Unet(), engines), (Wrapped(), f"{engines}, wrapped")):
            ours = wrapper.put(Patcher(Model(unet)), self.compute)
            for _ in range(2):
                self.assertEqual(sampled(ours), result)
                (seen, original, args, kwargs) = self.seen.pop()
                self.assertEqual(vars(unet), {}, "the UNet has its own method again")
                self.assertEqual((seen, original(*args, **kwargs)), (unet, "PyTorch's of x"))

    def test_what_was_in_the_slot_is_called_around_the_engine(self):
        tile = lambda apply, args, n: apply(Tensor(f"{args['input'].name}{n}"), args["timestep"], **args["c"])
        tiles = lambda apply, args: [tile(apply, args, n) for n in "12"]
        first = Patcher(Model(Unet()), {wrapper.SLOT: tiles})
        ours = wrapper.put(first, self.compute)
        self.assertEqual(sampled(ours), ["denoised the engine's of x1", "denoised the engine's of x2"])
        self.assertIs(first.model_options[wrapper.SLOT], tiles, "the patcher of before is as it was")
        self.assertIs(wrapper.put(ours, self.compute), ours, "once is enough")
        self.assertIs(wrapper.put(ours.clone(), self.compute).model_options[wrapper.SLOT].previous, tiles)
        whose = lambda apply, args: apply.__self__
        model = Model(Unet())
        self.assertIs(sampled(wrapper.put(Patcher(model, {wrapper.SLOT: whose}), self.compute)), model)

    def test_engines_are_not_copied_with_a_patchers_options(self):
        ours = wrapper.put(Patcher(Model(Unet())), self.compute)
        copy = deepcopy(ours.model_options)[wrapper.SLOT]
        self.assertIs(copy, ours.model_options[wrapper.SLOT])
        # What patchers look for in a function that has models of its own.
        self.assertFalse(hasattr(copy, "to") or hasattr(copy, "models"))
        moved = []
        other = SimpleNamespace(to=moved.append, models=lambda: ["own"])
        ours = wrapper.put(Patcher(Model(Unet()), {wrapper.SLOT: other}), self.compute).model_options[wrapper.SLOT]
        ours.to("cpu")
        self.assertEqual((moved, ours.models()), (["cpu"], ["own"]))

    def test_a_method_that_somebody_has_replaced_is_called(self):
        unet = Unet()
        unet.forward = lambda *args, **kwargs: "somebody's"
        ours = wrapper.put(Patcher(Model(unet)), self.compute)
        self.assertEqual(sampled(ours), "denoised somebody's")
        self.assertEqual(self.seen, [(unet, None, (), {})], "it was said why")
        # Extensions that have ended leave the class's own method behind.
        unet.forward = Unet.forward.__get__(unet)
        self.assertEqual(sampled(ours), "denoised the engine's of x")

    def test_an_error_leaves_the_unet_as_it_was(self):
        unet = Unet()
        model = Model(unet)
        model.apply_model = lambda *args, **kwargs: 1 / 0
        with self.assertRaises(ZeroDivisionError):
            sampled(wrapper.put(Patcher(model), self.compute))
        self.assertEqual(vars(unet), {})


class Serving(TestCase):
    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.front = front.Forge()
        self.said, self.served, self.order, self.passes = [], [], [], 0
        self.front.say = self.said.append
        self.jobs = jobs.Jobs(folder.name, self.front)
        self.jobs.index_file.refresh = lambda: None
        self.jobs.index_file.problem = None
        for name, stand_in in (
            ("gpu_of", lambda tensor: 0 if tensor.device == "cuda" else None),
            ("is_compiling", lambda: False),
            ("is_unet", lambda unet: isinstance(unet, Unet)),
        ):
            self.enterContext(patch.object(jobs, name, stand_in))
        session = self.jobs.session(0)
        session.compute = self.compute
        session.start_pass = self.start_pass
        session.unet.start_job = lambda: self.order.append("start")
        session.unet.end_job = lambda restores: self.order.append(f"end{' and restore' * restores}") or {}
        session.unet.leave_to_torch = lambda: self.order.append("leave to torch")
        self.unet = Unet()
        self.objects = SimpleNamespace(unet=Patcher(Model(self.unet)))

    def enterContext(self, context):
        """Python 3.10 has none."""
        self.addCleanup(context.__exit__, None, None, None)
        return context.__enter__()

    def compute(self, run, x, timesteps, context, y):
        self.served.append(run)
        return f"the engine's of {x.name}"

    def start_pass(self):
        self.passes += 1

    def job(self, chosen=AUTOMATIC):
        self.jobs.start(chosen)
        self.jobs.start_pass(self.objects)

    def test_a_pass_is_served(self):
        before = self.objects.unet
        self.job()
        self.assertIsNot(self.objects.unet, before)
        self.assertEqual(sampled(self.objects.unet), "denoised the engine's of x")
        self.assertIs(self.served[0].patcher, self.objects.unet, "the one that executes")
        self.jobs.end()
        self.assertIsNone(self.jobs._patcher, "nothing keeps a model alive")
        self.assertEqual(self.order, ["start", "end"], "the weights stay as engines read them")

    def test_never_is_never(self):
        before = self.objects.unet
        self.job(NEVER)
        self.assertEqual(self.order, ["start", "leave to torch"])
        self.jobs.step(self.objects)
        self.assertIs(self.objects.unet, before)
        self.assertIsNone(self.jobs._serving())
        self.job()
        self.assertEqual(sampled(self.objects.unet), "denoised the engine's of x")

    def test_whoever_comes_later_is_called_around_the_engine_too(self):
        self.job()
        later = self.objects.unet.clone()
        later.set_model_unet_function_wrapper(lambda apply, args: apply(Tensor("tile"), args["timestep"], **args["c"]))
        self.objects.unet = later
        self.jobs.step(self.objects)
        self.assertEqual(sampled(self.objects.unet), "denoised the engine's of tile")

    def test_other_weights_begin_a_pass_in_the_middle_of_one(self):
        self.job()
        begun = self.passes
        self.jobs.step(self.objects)
        self.assertEqual(self.passes, begun, "nothing has changed")
        # A refiner that loads another model.
        self.objects = SimpleNamespace(unet=Patcher(Model(self.unet)))
        self.jobs.step(self.objects)
        self.assertEqual(self.passes, begun + 1)
        # LoRAs of the refiner.
        self.objects.unet.patches, self.objects.unet.patches_uuid = {"diffusion_model.out.2.weight": [1]}, "2"
        self.jobs.step(self.objects)
        self.assertEqual(self.passes, begun + 2)
        # Forge Neo's, which writes into the same one, and back.
        samplers = ModuleType("modules.sd_samplers_common")
        with patch.dict(sys.modules, {"modules.sd_samplers_common": samplers}):
            for file in (None, "base.safetensors", "base.safetensors", None):
                samplers.ORIGINAL_CHECKPOINT = file
                self.jobs.step(self.objects)
        self.assertEqual(self.passes, begun + 4)

    def test_what_pytorch_computes_and_why(self):
        self.job()
        compiled = type("OptimizedModule", (Unet,), {"_orig_mod": 1})
        for why, unet, patcher, device, context in (
            ("NVIDIA GPU", None, None, "cpu", "context"),
            ("without its patcher", None, Patcher(Model(Unet())), "cuda", "context"),
            ("without a prompt", None, None, "cuda", None),
            ("torch.compile is on", compiled(), None, "cuda", "context"),
            ("this model is a Flux", type("Flux", (), {"forward": Unet.forward})(), None, "cuda", "context"),
        ):
            used, self.jobs._patcher = self.jobs._patcher, patcher or self.objects.unet
            used_unet = unet or self.unet
            args = (Tensor(device=device), Tensor("t"))
            for _ in range(2):
                found = self.jobs.compute(used_unet, used_unet.forward, *args, context=context)
                self.assertEqual(found, "PyTorch's of x")
            self.jobs._patcher = used
            self.assertRegex(self.said.pop(), f"{why}.*; PyTorch computes$")
            self.assertEqual(self.said, [], "once")
        self.assertIsNone(self.jobs.compute(self.unet, None))
        self.assertRegex(self.said.pop(), "replaced the model's own method")
        self.jobs.index_file.problem = "index.json does not exist: is sdtrtd running?"
        self.assertEqual(sampled(self.objects.unet), "denoised PyTorch's of x")
        self.assertEqual(self.said, ["index.json does not exist: is sdtrtd running?; PyTorch computes"])
        self.assertEqual(self.served, [])
        self.assertEqual({*self.order}, {"start", "leave to torch"})

    def test_what_a_controlnet_adds_comes_with_the_call(self):
        self.job()
        control = {"input": [], "middle": [1], "output": [2]}
        for given in ({"control": control, "control_model": "a"}, {"control_model": "a"}, {}):
            self.assertEqual(sampled(self.objects.unet, **given), "denoised the engine's of x")
            run = self.served.pop()
            self.assertEqual({"control": run.control} | run.others, {"control": None} | given)
        self.assertEqual(self.said, [])

    def test_a_call_that_is_compiled_is_left_alone(self):
        self.job()
        with patch.object(jobs, "is_compiling", lambda: True):
            self.assertEqual(sampled(self.objects.unet), "denoised PyTorch's of x")
        self.assertEqual(self.said, [])


class Loaded(TestCase):
    """What is known of the loaded model."""

    def test_the_file_of_its_weights(self):
        model = Model(Unet())
        loaded = SimpleNamespace(
            forge_objects=SimpleNamespace(unet=Patcher(model)), sd_checkpoint_info=SimpleNamespace(filename="/m/a.ckpt")
        )
        models, samplers = ModuleType("modules.sd_models"), ModuleType("modules.sd_samplers_common")
        forge = front.Forge()
        with patch.dict(sys.modules, {"modules.sd_models": models, "modules.sd_samplers_common": samplers}):
            for found, replaced, patcher, path in (
                (loaded, None, Patcher(model), "/m/a.ckpt"),
                (loaded, None, Patcher(Model(Unet())), None),
                (loaded, "/m/a.ckpt", Patcher(model), None),
                (SimpleNamespace(), None, Patcher(model), None),
                (None, None, Patcher(model), None),
            ):
                models.model_data = SimpleNamespace(sd_model=found)
                samplers.ORIGINAL_CHECKPOINT = replaced
                self.assertEqual(forge.path(patcher), path)

    def test_which_models_are_unets(self):
        made = lambda module, name: type(name, (), {"__module__": module})()
        for module, name, is_unet in (
            ("backend.nn.unet", "IntegratedUNet2DConditionModel", True),
            ("ldm_patched.ldm.modules.diffusionmodules.openaimodel", "UNetModel", True),
            ("backend.nn.flux", "IntegratedFluxTransformer2DModel", False),
            ("backend.nn.unet", "ResBlock", False),
        ):
            self.assertEqual(front.is_unet(made(module, name)), is_unet, name)

    def test_flags_with_which_pytorch_is_less_exact(self):
        for module, flags, why in (
            ("backend.args", {}, None),
            ("backend.args", {"fast_fp8": False, "fast_fp16": True}, "the web UI runs with --fast-fp16"),
            ("ldm_patched.modules.args_parser", {"use_sage_attention": True}, "runs with --use-sage-attention"),
        ):
            known = ModuleType(module)
            known.args = SimpleNamespace(**flags)
            with patch.dict(sys.modules, {module: known}):
                said = front.Forge().approximation()
                self.assertIsNone(said) if why is None else self.assertIn(why, said)
        attention = ModuleType("backend.attention")
        def attention_sage():
            pass
        attention.attention_function = attention_sage
        with patch.dict(sys.modules, {"backend.attention": attention}):
            self.assertIn("SageAttention", front.Forge().approximation())

    def test_whose_code_is_in_a_file(self):
        torch, paths = ModuleType("torch"), ModuleType("modules.paths_internal")
        torch.__path__ = ["/w/venv/lib/python3.13/site-packages/torch"]
        paths.script_path, paths.data_path, paths.extensions_dir = "/w", "/d", "/d/extensions"
        modules = ModuleType("modules")
        modules.paths_internal = paths
        for cached in (front.is_own, front.is_extension):
            cached.cache_clear()
            self.addCleanup(cached.cache_clear)
        known = {"torch": torch, "modules": modules, "modules.paths_internal": paths}
        with patch.dict(sys.modules, known):
            for file, is_own, is_extension in (
                ("/w/backend/nn/unet.py", True, False),
                ("/w/modules/processing.py", True, False),
                ("/w/extensions-builtin/sd_forge_lora/networks.py", True, False),
                ("/w/extensions/other/scripts/other.py", False, True),
                ("/d/extensions/other/scripts/other.py", False, True),
                ("/w/scripts/xyz_grid.py", False, True),
                ("/w/venv/lib/python3.13/site-packages/torch/nn/functional.py", True, False),
                ("/w/venv/lib/python3.13/site-packages/sageattention/core.py", False, False),
                (deepcopy.__code__.co_filename, True, False),
                ("<string>", True, False),
            ):
                self.assertEqual((front.is_own(file), front.is_extension(file)), (is_own, is_extension), file)
