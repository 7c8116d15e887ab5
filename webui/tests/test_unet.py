"""Which calls an engine computes, and which PyTorch does."""
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from sdtrt.a1111 import hooks

from . import samples
from .web_ui import WebUi


def lora(*layers, name="lora", strength=1.0, **more):
    modules = dict.fromkeys(layers)
    return SimpleNamespace(
        name=name, te_multiplier=strength, unet_multiplier=strength, dyn_dim=None, modules=modules, **more
    )


UNET_LORA = lora("diffusion_model_input_blocks_1_1_proj_in", name="spice")
TEXT_LORA = lora("transformer_text_model_encoder_layers_0_mlp_fc1", name="text")


class Served(unittest.TestCase):
    """What serves a web UI's calls."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.gpu = samples.Gpu(self, self.folder)

    def start(self, *engines):
        """Starts a web UI with a checkpoint that has these engines."""
        path = self.folder / "models/a.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        self.path = path
        self.publish(*engines)
        self.webui = WebUi(path.parent)
        self.webui.list_unets()
        self.webui.load(path)
        return hooks.unet

    def publish(self, *engines):
        of = lambda kind: [engine for engine in engines if engine["kind"] == kind]
        checkpoint = samples.checkpoint("a", [self.path], of("baked"))
        (self.folder / "index.json").write_text(samples.text(checkpoint, shared=of("shared")))

    def assert_torch(self, unet, said, *shapes, **others):
        before = self.webui.torch_calls
        self.assertEqual(unet.forward(*(shapes or samples.call()), **others), "PyTorch's of a")
        self.assertEqual(self.webui.torch_calls, before + 1)
        self.assertIn(said, " ".join(self.gpu.said))
        self.assertEqual(self.gpu.done[-1], "restore", "PyTorch's layout is restored first")


class Calls(Served):
    def test_pytorch_may_compute_the_next_job_without_asking(self):
        unet = self.start(samples.engine())
        for restores, last in ((False, "save"), (True, "restore all")):
            self.webui.job()
            unet.forward(*samples.call())
            unet.end_job(restores)
            self.assertEqual(self.gpu.done[-1], last)

    def test_nothing_is_loaded_before_a_call_needs_it(self):
        self.start(samples.engine())
        self.webui.job()
        self.assertEqual(self.gpu.calls, [])

    def test_the_engine_and_the_profile_follow_the_shapes_of_each_call(self):
        unet = self.start(
            samples.engine("open"), samples.engine("fixed", profiles=[samples.fixed()]), samples.baked()
        )
        self.webui.job()
        for call, served in (
            ({}, ("fixed", 0)),
            ({"width": 1024, "height": 1536}, ("baked", 1)),
            ({"width": 520, "height": 760, "batch": 1, "tokens": 154}, ("open", 0)),
            ({"batch": 3}, ("open", 0)),
            ({"tokens": 154}, ("fixed", 0)),
        ):
            unet.forward(*samples.call(**call))
            self.assertEqual(self.gpu.calls[-1][:2], served, call)
        self.assertEqual([fresh for *_, fresh in self.gpu.calls], [True] + 4 * [False], "once in a pass")
        self.webui.start_pass()
        unet.forward(*samples.call())
        self.assertTrue(self.gpu.calls[-1][2], "something may have changed since")
        self.assertEqual(self.webui.torch_calls, 0)

    def test_outside_of_the_profiles_pytorch_computes_and_it_says_once_what_to_build(self):
        unet = self.start(samples.baked(), samples.engine("fixed", profiles=[samples.fixed()]))
        for call, check in (
            ({"width": 2056}, "sdtrtctl check 2056x512 --batch 1 --tokens 75 a"),
            ({"height": 504}, "sdtrtctl check 512x504 --batch 1"),
            ({"batch": 9}, "sdtrtctl check 512x512 --batch 5"),
            ({"tokens": 231}, "--tokens 225"),
        ):
            self.webui.job()
            del self.gpu.said[:]
            for _ in range(3):
                self.assert_torch(unet, check, *samples.call(**call))
            self.assertEqual(len(self.gpu.said), 1, self.gpu.said)

    def test_above_its_limit_pytorch_computes_and_it_says_why(self):
        limit = {"gpu": samples.HERE.gpu, "pixels": 512 * 512}
        other = samples.engine("other", profiles=[samples.fixed()], limits=[limit | {"pixels": 1}])
        unet = self.start(other, samples.engine("limited", profiles=[samples.LARGE], limits=[limit]))
        self.webui.job()
        unet.forward(*samples.call())
        self.assertEqual(self.gpu.calls[-1][0], "limited")
        self.assert_torch(unet, "engine limited gave NaN or infinity for images as large", *samples.call(width=576))

    def test_unknown_arguments_are_computed_by_pytorch(self):
        unet = self.start(samples.engine())
        hijack, shared = hooks.a1111.sd_hijack, self.webui.shared
        hijack.model_hijack.circular_enabled = True
        self.assert_torch(unet, "tiling")
        hijack.model_hijack.circular_enabled = False
        shared.loaded_hypernetworks = ["one"]
        self.assert_torch(unet, "hypernetwork")
        shared.loaded_hypernetworks = []
        self.assert_torch(unet, "control", control=1)
        x, timesteps, context = samples.call()
        context.requires_grad = True
        self.assert_torch(unet, "trained", x, timesteps, context)
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")

    def test_a_baked_engine_is_only_for_its_own_weights(self):
        unet = self.start(samples.baked(), samples.engine("open", profiles=[samples.fixed()]))
        self.gpu.weights = "another sample"
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "open's of a")
        for engine, said in (
            (samples.baked(), "the weights inside are not those that are loaded"),
            (samples.baked(sample=None), "an older sdtrtd built it"),
        ):
            self.publish(engine)
            self.webui.job()
            self.assert_torch(unet, said)
        self.gpu.weights = "sample"
        self.publish(samples.baked())
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "baked's of its own")

    def test_a_baked_engine_is_only_for_its_checkpoint(self):
        unet = self.start(samples.baked())
        self.assertEqual(unet.forward(*samples.call()), "baked's of its own")
        other = self.folder / "models/b.safetensors"
        other.touch()
        self.webui.refresh_checkpoints()
        self.webui.keep(other)
        self.assertEqual(unet.forward(*samples.call()), "PyTorch's of b")
        self.assertIn("no engine for UNets of this signature", " ".join(self.gpu.said))

    def test_weights_that_no_engine_can_read_are_computed_by_pytorch_for_the_pass(self):
        unet = self.start(samples.engine())
        self.webui.torch_unet.to("cpu")
        self.gpu.unfit = "out.0.bias goes up to 7e+04, which is outside fp16's range"
        self.assert_torch(unet, "out.0.bias goes up to 7e+04")
        self.gpu.unfit = None
        self.assert_torch(unet, "out.0.bias")
        self.webui.start_pass()
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")

    def test_controlnet_finds_the_unet_as_it_was(self):
        unet = self.start(samples.engine())
        torch_unet = self.webui.torch_unet
        torch_unet.forward = lambda *args, **kwargs: None
        self.webui.job()
        self.assertEqual((torch_unet.place, self.gpu.done[-1]), ("cuda", "rest"))
        self.assertIn("ControlNet", " ".join(self.gpu.said))
        # What it leaves behind.
        torch_unet.forward = type(torch_unet).forward.__get__(torch_unet)
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")

    def test_engines_are_on_the_gpu_that_the_web_ui_was_started_for(self):
        for number, gpu in ((None, None), ("1", 1)):
            unet = self.start(samples.engine())
            self.webui.shared.cmd_opts.device_id = number
            del self.gpu.numbers[:]
            unet.forward(*samples.call())
            self.assertEqual(self.gpu.numbers, [gpu])

    def test_with_extensions_inside_the_unet_pytorch_computes(self):
        unet = self.start(samples.engine())
        parts = self.webui.torch_unet.parts
        part = parts["middle_block"]
        part.forward = lambda *args: None
        self.webui.job()
        self.assert_torch(unet, "works at middle_block")
        # What it leaves behind.
        part.forward = type(part).forward.__get__(part)
        # What remains after HyperTile was used, and what token merging does.
        hypertile = parts["output_blocks"]
        hypertile.forward = lambda *args: None
        setattr(hypertile, "__webui_hypertile_params", None)
        parts["input_blocks"].__class__ = type("Merging", (type(part),), {"__module__": "tomesd.patch"})
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")
        motion = {"__module__": "motion_module", "to": lambda *_: None, "place": "cuda", "_parameters": {}}
        parts["motion"] = type("Motion", (), motion)()
        self.assertEqual(unet.forward(*samples.call()), "engine's of a", "checked once per pass")
        self.webui.start_pass()
        self.assert_torch(unet, "works at motion")

    def test_medvram_moves_the_unet_and_we_do_not_move_it_back(self):
        unet = self.start(samples.engine())
        self.webui.lowvram = self.webui.models.model_data.sd_model.lowvram = True
        torch_unet = self.webui.torch_unet
        for _ in range(2):
            torch_unet.to("cpu")
            self.webui.start_pass()
            self.assertEqual(unet.forward(*samples.call()), "engine's of a")
            self.assertTrue(self.gpu.calls[-1][2], "its weights are elsewhere now")
            self.assertEqual(torch_unet.place, "cuda")
        torch_unet.to("cpu")
        unet.activate()
        self.assertEqual(torch_unet.place, "cpu", "until the web UI moves it")

    def test_a_failed_engine_is_not_used_until_the_next_job(self):
        unet = self.start(samples.engine())
        self.webui.job()
        self.gpu.broken.add("engine")
        self.assert_torch(unet, "it is broken")
        self.assertIn("drop", self.gpu.done, "nothing stays loaded or bound")
        self.gpu.broken.clear()
        self.assert_torch(unet, "it is broken")
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")

    def test_the_next_engine_takes_over_from_one_that_fails(self):
        unet = self.start(samples.engine(), samples.engine("second"))
        self.gpu.broken.add("engine")
        self.assert_torch(unet, "it is broken")
        self.assertEqual(unet.forward(*samples.call()), "second's of a")

    def test_engines_that_can_not_be_used_here(self):
        for changes, said in (
            ({"tensorrt": "1.6.1.120"}, "TensorRT-RTX 1.6.1.120"),
            ({"compute_capabilities": ["12.0"]}, "compute capability 12.0"),
            ({"state": "failed"}, "output to be wrong"),
        ):
            self.assert_torch(self.start(samples.engine(**changes)), said)

    def test_shapes_are_sent_once_per_job_whoever_computed_them(self):
        unet = self.start(samples.engine(), samples.engine("fixed", profiles=[samples.fixed()]))
        self.webui.job()
        for call in ({}, {"width": 2048}, {}, {"batch": 1}, {"tokens": 154, "batch": 1}):
            unet.forward(*samples.call(**call))
        hooks.after_job()
        hooks.after_job()
        shape = lambda width, batch: {"width": width, "height": 512, "batch": batch}
        signature = samples.signature_of()
        self.assertEqual(self.gpu.told, [{signature: [shape(2048, 2), shape(512, 2), shape(512, 1)]}, {}])
        self.assertEqual(self.gpu.done[-1], "save")
        self.webui.choose("None")
        hooks.after_job()
        self.assertEqual(self.gpu.done[-1], "drop", "nothing stays loaded once deselected")


class Loras(Served):
    def test_the_web_uis_own_code_applies_them_before_the_call(self):
        unet = self.start(samples.engine())
        self.webui.job()
        forward = lambda: unet.forward(*samples.call())
        self.assertEqual(forward(), "engine's of a")
        applied = self.webui.applied
        self.assertEqual(applied, 5, "each layer once")
        forward()
        self.assertEqual(self.webui.applied, applied, "not at each step")
        self.webui.networks.loaded_networks = [UNET_LORA]
        self.assertEqual(forward(), "engine's of a with spice", "in the middle of a pass too")
        self.assertTrue(self.gpu.calls[-1][2])
        self.webui.networks.loaded_networks = []
        self.webui.start_pass()
        self.assertEqual(forward(), "engine's of a")

    def test_they_are_applied_to_another_model_too(self):
        unet = self.start(samples.engine())
        self.webui.networks.loaded_networks = [UNET_LORA]
        self.webui.job()
        unet.forward(*samples.call())
        self.webui.keep(self.path)
        self.assertEqual(unet.forward(*samples.call()), "engine's of a with spice")

    def test_with_loras_outside_the_weights_pytorch_computes(self):
        unet = self.start(samples.engine())
        self.webui.shared.opts.lora_functional = True
        self.webui.networks.loaded_networks = [UNET_LORA]
        self.assert_torch(unet, "lora_functional")
        self.assertEqual(self.webui.applied, 0)
        self.webui.networks.loaded_networks = []
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")

    def test_one_that_adds_a_bias_is_computed_by_pytorch(self):
        for known in ("the checkpoint too", "engines alone"):
            with self.subTest(known):
                unet = self.start(samples.engine())
                if known == "engines alone":
                    (self.folder / "index.json").write_text(samples.text(shared=[samples.engine()]))
                self.webui.job()
                self.webui.networks.loaded_networks = [lora("diffusion_model_out", name="biased", adds_bias=True)]
                self.webui.job()
                self.assert_torch(unet, "input_blocks.bias was added to the UNet, by a LoRA")
                for networks in (self.webui.networks.loaded_networks, [], []):
                    self.webui.networks.loaded_networks = networks
                    self.webui.job()
                    self.assertIs(self.webui.unet.current_unet, unet, "the web UI still asks it")
                self.assertEqual(unet.forward(*samples.call()), "engine's of a")

    def test_one_that_the_web_ui_can_not_apply_is_computed_by_pytorch(self):
        unet = self.start(samples.engine())

        def fail(module):
            raise RuntimeError("no backup weights found")

        self.webui.networks.network_apply_weights = fail
        self.assert_torch(unet, "no backup weights found")

    def test_baked_engines_are_not_used_with_loras(self):
        unet = self.start(samples.baked())
        self.webui.networks.loaded_networks = [TEXT_LORA]
        self.assertEqual(unet.forward(*samples.call()), "baked's of its own")
        self.webui.networks.loaded_networks = [TEXT_LORA, UNET_LORA]
        self.assert_torch(unet, "only engines with its own weights inside")
        self.webui.networks.loaded_networks = []
        self.assertEqual(unet.forward(*samples.call()), "baked's of its own")
        unet = self.start(samples.baked(), samples.engine())
        self.webui.networks.loaded_networks = [UNET_LORA]
        self.assertEqual(unet.forward(*samples.call()), "engine's of a with spice")
