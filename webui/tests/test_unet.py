"""Which calls an engine computes, and which PyTorch does."""
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from sdtrt import hooks

from . import samples
from .web_ui import WebUi


def lora(*layers, name="lora", strength=1.0):
    modules = dict.fromkeys(layers)
    return SimpleNamespace(name=name, unet_multiplier=strength, dyn_dim=None, modules=modules)


UNET_LORA = lora("diffusion_model_input_blocks_1_1_proj_in")
TEXT_LORA = lora("transformer_text_model_encoder_layers_0_mlp_fc1")


class Calls(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.engines = samples.Engines(self, self.folder)

    def start(self, *engines):
        """A web UI with a checkpoint that has these engines."""
        path = self.folder / "models/a.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        (self.folder / "index.json").write_text(samples.text(samples.checkpoint("a", [path], engines)))
        self.webui = WebUi(path.parent)
        self.webui.list_unets()
        self.webui.load(path)
        return self.webui.unet.current_unet

    def assert_torch(self, unet, said, *shapes, **others):
        before = self.webui.torch_calls
        self.assertEqual(unet.forward(*(shapes or samples.call()), **others), "PyTorch's")
        self.assertEqual(self.webui.torch_calls, before + 1)
        self.assertIn(said, " ".join(self.engines.said))

    def test_the_profile_follows_the_shapes_of_each_call(self):
        unet = self.start(samples.engine())
        for call, profile in (
            ({}, 0),
            ({"width": 1024, "height": 1536}, 1),
            ({"width": 520, "height": 760, "batch": 1, "tokens": 154}, 0),
            ({"width": 776}, 1),
            ({"batch": 3}, 0),
            ({"batch": 8}, 0),
        ):
            self.assertEqual(unet.forward(*samples.call(**call)), "engine's")
            self.assertEqual(self.engines.profiles.pop(), profile, call)
        self.assertEqual(self.engines.loaded, ["engine"], "loaded once for all of them")
        self.assertEqual(self.webui.torch_calls, 0)

    def test_outside_of_the_profiles_torch_computes_and_says_what_to_build_once(self):
        unet = self.start(samples.engine())
        for call, check in (
            ({"width": 2056}, "sdtrtctl check 2056x512 --batch 1 --tokens 75 a"),
            ({"height": 504}, "sdtrtctl check 512x504 --batch 1"),
            ({"batch": 9}, "sdtrtctl check 512x512 --batch 5"),
            ({"tokens": 231}, "--tokens 225"),
        ):
            self.webui.job()
            del self.engines.said[:]
            for _ in range(3):
                self.assert_torch(unet, check, *samples.call(**call))
            self.assertEqual(len(self.engines.said), 1, self.engines.said)

    def test_what_an_engine_does_not_know_is_torchs(self):
        unet = self.start(samples.engine())
        hijack, shared = hooks.a1111.sd_hijack, hooks.a1111.shared
        hijack.model_hijack.circular_enabled = True
        self.assert_torch(unet, "tiling")
        hijack.model_hijack.circular_enabled = False
        shared.loaded_hypernetworks = ["one"]
        self.assert_torch(unet, "hypernetwork")
        shared.loaded_hypernetworks = []
        self.assert_torch(unet, "y", y=samples.Shaped(2, 2816))
        self.assert_torch(unet, "control", control=1)
        self.webui.models.model_data.sd_model.sd_checkpoint_info = SimpleNamespace(filename="/b")
        self.assert_torch(unet, "another checkpoint")

    def test_controlnet_finds_the_unet_on_the_gpu(self):
        self.start(samples.engine())
        torch_unet = self.webui.torch_unet
        self.assertEqual(torch_unet.place, "cpu")
        torch_unet.forward = lambda *args, **kwargs: None
        self.webui.job()
        self.assertEqual(torch_unet.place, "cuda")
        self.assertIn("ControlNet", " ".join(self.engines.said))
        # What it leaves behind.
        torch_unet.forward = type(torch_unet).forward.__get__(torch_unet)
        self.webui.job()
        self.assertEqual(self.webui.unet.current_unet.forward(*samples.call()), "engine's")
        self.assertEqual(torch_unet.place, "cpu", "its memory is given back")

    def test_engines_are_on_the_gpu_that_the_web_ui_was_started_for(self):
        for number, gpu in ((None, None), ("1", 1)):
            self.start(samples.engine())
            hooks.a1111.shared.cmd_opts.device_id = number
            self.webui.choose("None")
            del self.engines.gpus[:]
            self.webui.choose("Automatic")
            self.webui.unet.current_unet.forward(*samples.call())
            self.assertEqual(self.engines.gpus, [gpu, gpu])

    def test_what_works_inside_of_the_unet_is_torchs(self):
        self.start(samples.engine())
        unet, parts = self.webui.unet.current_unet, self.webui.torch_unet.parts
        part = parts["middle_block"]
        part.forward = lambda *args: None
        self.webui.job()
        self.assert_torch(unet, "works at middle_block")
        # What it leaves behind.
        part.forward = type(part).forward.__get__(part)
        # What stays when HyperTile was once on, and what token merging does.
        hypertile = parts["output_blocks"]
        hypertile.forward = lambda *args: None
        setattr(hypertile, "__webui_hypertile_params", None)
        parts["input_blocks"].__class__ = type("Merging", (type(part),), {"__module__": "tomesd.patch"})
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's")
        parts["motion"] = type("Motion", (), {"__module__": "motion_module", "to": lambda *_: None, "place": "cuda"})()
        self.assertEqual(unet.forward(*samples.call()), "engine's", "looked at once in a pass")
        self.webui.start_pass()
        self.assert_torch(unet, "works at motion")

    def test_lowvram_has_the_parts_on_the_gpu_that_no_hook_brings(self):
        unet = self.start(samples.engine())
        hooks.a1111.shared.cmd_opts.lowvram = self.webui.lowvram = True
        self.webui.torch_unet.to("cpu")
        self.assert_torch(unet, "2056", *samples.call(width=2056))
        self.webui.torch_unet.to("cpu")
        self.webui.choose("None")
        places = {name: part.place for name, part in self.webui.torch_unet.parts.items()}
        self.assertEqual(places.pop("out"), "cuda", "before PyTorch is called without an engine")
        self.assertEqual(set(places.values()), {"cpu"})

    def test_medvram_has_no_second_unet_on_the_gpu_for_longer_than_a_call(self):
        unet = self.start(samples.engine())
        self.webui.lowvram = self.webui.models.model_data.sd_model.lowvram = True
        self.webui.job()
        for _ in range(2):
            self.assertEqual(self.webui.torch_unet.place, "cuda")
            unet.forward(*samples.call())
            self.assertEqual(self.webui.torch_unet.place, "cpu")
            self.webui.start_pass()
        self.assert_torch(unet, "2056", *samples.call(width=2056))

    def test_calls_by_turns_do_not_move_torchs_weights_each_time(self):
        unet = self.start(samples.engine())
        self.webui.job()
        before = self.webui.torch_unet.moves
        for _ in range(3):
            unet.forward(*samples.call())
            unet.forward(*samples.call(tokens=231))
        self.assertEqual(self.webui.torch_unet.moves, before + 1)

    def test_what_pytorch_approximates_is_no_measure(self):
        unet = self.start(samples.engine(state="unproven"))
        model, host = self.webui.models.model_data.sd_model, hooks.a1111
        self.addCleanup(delattr, host.devices, "fp8")
        for holder, name, said in (
            (model, "applied_token_merged_ratio", "token merging"),
            (host.shared.opts, "hypertile_enable_unet_secondpass", "HyperTile"),
            (host.devices, "fp8", "fp8"),
        ):
            with self.subTest(name):
                setattr(holder, name, True)
                self.webui.job()
                self.assertEqual(unet.forward(*samples.call()), "engine's")
                setattr(holder, name, False)
                self.assertIn(said, self.engines.said[-1])
        self.assertEqual(self.webui.torch_calls, 0)
        self.assertIsNone(hooks.place.proofs.error("engine", "unet of a"))

    def test_an_engine_that_fails_is_left_for_the_job_and_tried_at_the_next(self):
        unet = self.start(samples.engine())
        self.engines.broken.add("engine")
        self.assert_torch(unet, "it is broken")
        self.engines.broken.clear()
        self.assert_torch(unet, "it is broken")
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's")

    def test_what_can_not_be_loaded_raises_nothing(self):
        self.engines.broken.add("engine")
        unet = self.start(samples.engine())
        self.assert_torch(unet, "it is broken")
        for changes, said in (
            ({"tensorrt": "1.6.1.120"}, "TensorRT-RTX 1.6.1.120"),
            ({"compute_capabilities": ["12.0"]}, "compute capability 12.0"),
        ):
            self.assert_torch(self.start(samples.engine("other", **changes)), said)

    def test_an_engine_that_was_far_off_is_not_used(self):
        hooks.place.proofs.record("engine", "unet of a", 0.3, {})
        unet = self.start(samples.engine(state="unproven"))
        self.assert_torch(unet, "3.0e-01 off")
        unet = self.start(samples.engine(), samples.engine("second"))
        self.assertEqual(unet.forward(*samples.call()), "second's")

    def test_loras_need_a_shared_engine(self):
        networks = self.webui_networks()
        unet = self.start(samples.engine())
        networks.loaded_networks = [TEXT_LORA]
        self.assertEqual(unet.forward(*samples.call()), "engine's")
        networks.loaded_networks = [TEXT_LORA, UNET_LORA]
        self.assert_torch(unet, 'engines = "shared"')
        networks.loaded_networks = []
        self.assertEqual(unet.forward(*samples.call()), "engine's")

    def test_loras_take_the_shared_engine_and_stay_with_it(self):
        networks = self.webui_networks()
        shared = samples.engine("shared", kind="shared", constants="/constants")
        unet = self.start(samples.engine(), shared)
        self.assertEqual(unet.forward(*samples.call()), "engine's")
        networks.loaded_networks = [UNET_LORA]
        self.assertEqual(unet.forward(*samples.call()), "shared's")
        networks.loaded_networks = []
        self.assertEqual(unet.forward(*samples.call()), "shared's")
        self.assertEqual(self.engines.followed, [[UNET_LORA], []])

    def test_a_lora_that_no_engine_can_have_costs_no_engine(self):
        networks = self.webui_networks()
        unet = self.start(samples.engine("shared", kind="shared", constants="/constants"))
        networks.loaded_networks = [lora("diffusion_model_gone", "strange")]
        for _ in range(3):
            self.assert_torch(unet, "a LoRA is strange")
        self.assertEqual(self.engines.refused, 1, "looked at once")
        networks.loaded_networks = []
        self.assertEqual(unet.forward(*samples.call()), "shared's")
        self.assertEqual(self.engines.loaded, ["shared"])

    def webui_networks(self):
        import networks

        self.addCleanup(setattr, networks, "loaded_networks", [])
        return networks
