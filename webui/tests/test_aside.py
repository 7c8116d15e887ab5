"""Where engines can't be used, and where ours fails, all is as if we weren't there, but for a line."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import mock

from sdtrt import a1111, machine
from sdtrt.a1111 import hooks
from sdtrt.follow import follow
from sdtrt.timings import Timing

from . import samples
from .test_unet import Served


class Standstill(Served):
    def test_a_web_ui_that_can_use_no_engine_has_no_entries_and_says_so_once(self):
        self.start(samples.engine())
        self.assertTrue(self.webui.unet.unet_options)
        self.webui.devices.device = "cpu"
        for _ in range(3):
            self.webui.list_unets()
            self.webui.job()
            hooks.after_job()
        self.assertEqual(self.webui.unet.unet_options, [])
        self.assertIsNone(self.webui.unet.current_unet)
        (line,) = (said for said in self.gpu.said if "CPU" in said)
        self.assertEqual(line, "the web UI computes on the CPU: torch sees no NVIDIA GPU; PyTorch computes")

    def test_the_reasons(self):
        self.start(samples.engine())
        device = lambda kind: SimpleNamespace(type=kind)
        for kind, use_cpu, lowvram, said in (
            ("cuda", [], False, None), (device("cuda"), ["interrogate"], False, None), ("cuda:1", [], False, None),
            (device("cpu"), ["all"], False, "on the CPU with --use-cpu"), ("cpu", ["sd"], False, "with --use-cpu"),
            ("mps", [], False, "of the type mps"), (device("xpu"), [], False, "of the type xpu"),
            ("cuda", [], True, "--lowvram"),
        ):
            self.webui.devices.device = kind
            self.webui.shared.cmd_opts.use_cpu, self.webui.shared.cmd_opts.lowvram = use_cpu, lowvram
            why = a1111.standstill()
            self.assertIs(why is None, said is None, why)
            self.assertIn(said or "", why or "")

    def test_missing_bindings_are_told_without_importing_anything(self):
        with mock.patch.object(machine, "missing", lambda: "the Python package is missing"):
            self.start(samples.engine())
            self.webui.list_unets()
        self.assertEqual(self.webui.unet.unet_options, [])
        self.assertEqual(self.gpu.said, ["the Python package is missing; PyTorch computes"])

    def test_a_missing_index_is_told_once(self):
        self.start(samples.engine())
        (self.folder / "index.json").unlink()
        for _ in range(3):
            hooks.index_file.refresh()
            self.webui.list_unets()
        self.assertEqual(sum("index.json" in line for line in self.gpu.said), 1, self.gpu.said)

    def test_nothing_is_asked_of_the_machine_before_an_engine_fits(self):
        unet = self.start()
        self.webui.unet.current_unet = unet
        with mock.patch.object(machine, "here", side_effect=AssertionError("TensorRT-RTX is imported")):
            self.webui.job()
            self.assert_torch(unet, "no engine for UNets of this signature")


class Faults(Served):
    def without_cuda(self):
        """A torch without CUDA, in which choosing a GPU raises."""
        def raises(number):
            raise AssertionError("Torch not compiled with CUDA enabled")

        torch = ModuleType("torch")
        torch.cuda = SimpleNamespace(is_available=lambda: False, device_count=lambda: 0, device=raises)
        return mock.patch.dict(sys.modules, {"torch": torch})

    def test_a_device_id_without_cuda_chooses_nothing(self):
        on = self.gpu.real["on"]
        with self.without_cuda():
            for number in (None, 0, 3):
                with on(number):
                    pass

    def test_a_device_id_that_no_gpu_has_chooses_nothing(self):
        on, chosen = self.gpu.real["on"], []
        with self.without_cuda():
            sys.modules["torch"].cuda.is_available = lambda: True
            sys.modules["torch"].cuda.device_count = lambda: 2
            sys.modules["torch"].cuda.device = lambda number: chosen.append(number) or mock.MagicMock()
            for number in (0, 1, 2):
                with on(number):
                    pass
        self.assertEqual(chosen, [0, 1])

    def test_whatever_of_ours_fails_the_web_ui_goes_on(self):
        unet = self.start(samples.engine())
        self.webui.job()
        for where in ("serve", "restore", "save", "drop", "rest"):
            with self.subTest(where), mock.patch.object(self.gpu, where, side_effect=RuntimeError(f"no {where}")):
                # PyTorch computes then.
                self.gpu.broken = {"engine"} if where == "restore" else set()
                self.webui.job()
                unet.forward(*samples.call())
                hooks.after_job()
                hooks.put_away()
        for name in ("start_job", "start_pass", "end_job", "put_away"):
            with self.subTest(name), mock.patch.object(unet, name, side_effect=RuntimeError(f"no {name}")):
                self.webui.job()
                hooks.after_job()
                hooks.put_away()
        broken = SimpleNamespace(refresh=mock.Mock(side_effect=RuntimeError("no index")))
        with mock.patch.object(hooks, "index_file", broken):
            self.webui.list_unets()
            hooks.before_job()
        for where in ("serve", "restore", "save", "drop", "end_job", "index"):
            self.assertTrue(any(f"no {where}" in line for line in self.gpu.said), f"{where}: {self.gpu.said}")

    def test_a_reason_is_said_once(self):
        unet = self.start(samples.engine("a"), samples.engine("b"))
        self.gpu.broken = {"a", "b"}
        self.webui.job()
        for _ in range(5):
            self.assert_torch(unet, "it is broken")
        said = [line for line in self.gpu.said if "it is broken" in line]
        self.assertEqual(said, [
            "engine a is not used: it failed: it is broken; PyTorch computes it",
            "engine b is not used: it failed: it is broken; PyTorch computes it",
        ])

    def test_one_reason_of_several_engines_is_one(self):
        unet = self.start(samples.engine("a", tensorrt="1.6.1.120"), samples.engine("b", tensorrt="1.6.1.120"))
        self.webui.job()
        self.assert_torch(unet, "engines a, b are not used: it was built with TensorRT-RTX 1.6.1.120, but")

    def test_version_1_6_says_where_it_calls_no_engine(self):
        self.start(samples.engine())
        unet, webui = type(self.webui.torch_unet), SimpleNamespace()
        folder = SimpleNamespace(openaimodel=webui)
        names = {"ldm.modules": folder, "ldm.modules.diffusionmodules": folder}
        del sys.modules["modules"].sd_hijack.ldm_original_forward
        with mock.patch.dict(sys.modules, names):
            for original, of, said in (
                (lambda *args: None, "ldm.modules.diffusionmodules.openaimodel", None),
                (unet.forward, "ldm.modules.diffusionmodules.openaimodel", "after it has unloaded its model"),
                (unet.forward, "sgm.modules.diffusionmodules.openaimodel", "no engines for SDXL"),
            ):
                webui.copy_of_UNetModel_forward_for_webui = original
                self.gpu.said.clear()
                with mock.patch.object(unet, "__module__", of):
                    self.webui.job()
                    self.webui.start_pass()
                lines = [line for line in self.gpu.said if "A1111 1.6" in line]
                self.assertEqual(len(lines), said is not None, self.gpu.said)
                self.assertIn(said or "", "".join(lines))

    def test_unloading_the_model_frees_what_is_ours(self):
        models, order = SimpleNamespace(unload_model_weights=lambda *args: order.append("unloaded")), []
        put_away = lambda: order.append("put away")
        for _ in range(2):
            follow(models, "unload_model_weights", put_away)
        models.unload_model_weights()
        self.assertEqual(order, ["put away", "unloaded"])


class Replaced(Served):
    def test_what_is_replaced_on_a_class_makes_pytorch_compute(self):
        unet = self.start(samples.engine())
        self.webui.job()
        why = "torch.nn.modules.linear.Linear.forward is replaced by x/extensions/y/latent.py"
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")
        with mock.patch.object(a1111, "replaced", lambda: why):
            self.assert_torch(unet, f"{why}, which engines don't support; PyTorch computes it")
        self.assertEqual(unet.forward(*samples.call()), "engine's of a", "it was put back")

    def test_regional_prompter_changes_nothing_without_loras(self):
        self.start()
        names = {}
        exec("def h_Linear_forward(self, input):\n changethelora(None)\ndef other(self):\n changethelora(None)", names)
        its, other = names["h_Linear_forward"].__code__, names["other"].__code__
        self.assertEqual((a1111.is_idle(its), a1111.is_idle(other)), (True, False))
        self.webui.networks.loaded_networks = [object()]
        self.assertFalse(a1111.is_idle(its))

    def test_whose_code_a_file_has(self):
        self.start()
        library = os.path.dirname(os.__file__)
        sys.modules["tomesd"] = SimpleNamespace(__path__=["/venv/site-packages/tomesd"])
        self.addCleanup(sys.modules.pop, "tomesd")
        for file, is_own, is_extension in (
            ("/web ui/modules/sd_hijack_utils.py", True, False),
            ("/web ui/extensions-builtin/Lora/networks.py", True, False),
            ("/web ui/repositories/k-diffusion/k_diffusion/layers.py", True, False),
            (f"{library}/functools.py", True, False), ("<frozen importlib>", True, False),
            ("/venv/site-packages/tomesd/patch.py", True, False),
            ("/web ui/extensions/regions/scripts/latent.py", False, True), ("/web ui/scripts/mine.py", False, True),
            (f"{library}/site-packages/sageattention/core.py", False, False), ("/web ui/modules2/x.py", False, False),
        ):
            self.assertEqual((a1111.is_own(file), a1111.is_extension(file)), (is_own, is_extension), file)

    def test_hooks_inside_the_unet_make_pytorch_compute(self):
        unet = self.start(samples.engine())
        self.webui.torch_unet._forward_pre_hooks = {0: "--medvram's"}
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")
        self.webui.torch_unet.parts["out"]._forward_hooks = {0: "another extension's"}
        self.webui.job()
        self.assert_torch(unet, "another extension works at out of the UNet")


class Line(Served):
    def test_a_job_ends_with_what_engines_did(self):
        unet = self.start(samples.engine("0123456789abcdef"))
        self.webui.job()
        unet.chooser.timing = lambda entry, call: Timing(call, 13.0, 27.3, 0.1)
        for _ in range(4):
            unet.forward(*samples.call())
        hooks.after_job()
        (line,) = (said for said in self.gpu.said if said.startswith("engine 0123456789ab at"))
        self.assertRegex(line, r"^engine 0123456789ab at 512×512, \d+ it/s, 2.1 × PyTorch$")
        self.webui.job()
        hooks.after_job()
        self.assertEqual(sum("it/s" in said for said in self.gpu.said), 1, "nothing served")

    def test_before_a_refiner_too(self):
        unet = self.start(samples.engine("0123456789abcdef"))
        self.webui.job()
        unet.forward(*samples.call())
        self.webui.unet.apply_unet("None")
        hooks.after_job()
        self.assertIn("engine 0123456789ab at 512×512", self.gpu.said)
        self.assertEqual(len(self.gpu.told), 1)
        self.assertIn("drop", self.gpu.done)


# Run by itself: a web UI's start, and a job for whose model there is no engine.
JOB = """
import sys
from pathlib import Path
from tests import samples
from tests.web_ui import WebUi
from sdtrt.a1111 import hooks

folder = Path(sys.argv[1])
hooks.start(folder)
path = folder / "a.safetensors"
path.touch()
checkpoint = samples.checkpoint("a", [path])
(folder / "index.json").write_text(samples.text(checkpoint, shared=[samples.engine()], width=8))
webui = WebUi(folder)
webui.list_unets()
webui.load(path)
webui.job()
hooks.after_job()
imported = {"torch", "tensorrt_rtx", "tensorrt_rtx_bindings", "sdtrt.tensorrt"} & set(sys.modules)
sys.exit(f"imported {imported}" if imported else 0)
"""


class Imports(unittest.TestCase):
    def test_nothing_heavy_is_imported_before_an_engine_fits(self):
        with tempfile.TemporaryDirectory() as folder:
            # Both are installed.
            for name in ("torch", "tensorrt_rtx"):
                Path(folder, f"{name}.py").touch()
            run = subprocess.run(
                [sys.executable, "-B", "-c", JOB, folder],
                cwd=Path(__file__).parent.parent, env=os.environ | {"PYTHONPATH": folder}, capture_output=True,
                text=True,
            )
        self.assertEqual((run.returncode, run.stderr), (0, ""))
