"""An engine is loaded while the web UI loads a checkpoint."""
import threading
from contextlib import nullcontext
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest import TestCase, mock

from sdtrt import gpu
from sdtrt.a1111 import hooks
from sdtrt.calls import Call
from sdtrt.follow import follow
from sdtrt.forge import front, jobs
from sdtrt.timings import Timing

from . import samples
from .test_engines import GpuCase, entry
from .test_unet import Served


class Chosen(Served):
    def setUp(self):
        super().setUp()
        self.loaded = []
        self.gpu.load_ahead = lambda choose: self.loaded.append(choose())

    def begin(self, *engines):
        """Starts a web UI with a, lets it load b, and returns the id of the engine that is loaded meanwhile."""
        self.start(*engines)
        other = self.folder / "models/b.safetensors"
        other.touch()
        self.webui.refresh_checkpoints()
        both = samples.checkpoint("a", [self.path, other])
        (self.folder / "index.json").write_text(samples.text(both, shared=engines))
        info = self.webui.models.checkpoints_list[str(other)]
        self.webui.models.select_checkpoint = lambda: info
        hooks.before_load()
        found = [each.id if each else None for each in self.loaded]
        self.loaded.clear()
        return found

    def test_the_engine_for_the_job_that_comes(self):
        fixed = samples.engine("fixed", profiles=[samples.fixed()])
        for size, expected in ((None, "fixed"), ((512, 512, 1), "fixed"), ((512, 768, 1), "open")):
            if size is not None:
                hooks.note_job(SimpleNamespace(width=size[0], height=size[1], batch_size=size[2]))
            self.assertEqual(self.begin(fixed, samples.engine("open")), [expected], size)
        hooks.note_job(SimpleNamespace(width=64, height=64, batch_size=1))
        self.assertEqual(self.begin(fixed), [None], "no engine is for this size")

    def test_where_pytorch_is_faster_nothing_is_loaded(self):
        call = Call(512, 512, 2, 77)
        for milliseconds, expected in ((10.0, "engine"), (40.0, None)):
            timing = Timing(call, milliseconds, 30.0, 0.1)
            hooks.place.timings.record("engine", hooks.unet.chooser.surroundings(), timing)
            self.assertEqual(self.begin(samples.engine()), [expected])

    def test_nothing_is_loaded_that_will_not_serve(self):
        self.assertEqual(self.begin(samples.engine(tensorrt="0.1")), [None])
        self.assertEqual(self.begin(), [None])
        self.begin(samples.engine())
        for name, value in (("sd_unet", "None"), ("other", None)):
            self.webui.shared.opts = SimpleNamespace(**{name: value})
            hooks.before_load()
            self.assertEqual(len(self.loaded), value is None, name)
        self.webui.models.select_checkpoint = lambda: self.webui.models.checkpoints_list[str(self.path)]
        hooks.before_load()
        self.assertEqual(len(self.loaded), 1, "the one that is loaded")

    def test_the_web_ui_goes_on_whatever_fails(self):
        self.begin(samples.engine())
        order = []
        models = SimpleNamespace(reload_model_weights=lambda *args, **kwargs: order.append((args, kwargs)))
        follow(models, "reload_model_weights", hooks.before_load)
        with mock.patch.object(hooks.index_file, "refresh", side_effect=OSError("gone")):
            models.reload_model_weights(None, info=SimpleNamespace(filename="/x"))
        self.assertEqual([args for args, _ in order], [(None,)])
        self.assertIn("before_load failed: OSError: gone", " ".join(self.gpu.said))


class Loads(GpuCase):
    def setUp(self):
        super().setUp()
        # The thread that loads goes on when somebody waits for it.
        test, self.begun, self.go = self, threading.Event(), threading.Event()
        # Whether the main thread has loaded each engine.
        self.by_main = []

        class Waited(threading.Thread):
            def join(self, timeout=None):
                test.go.set()
                super().join(timeout)

        patch = mock.patch.object(gpu, "Thread", Waited)
        patch.start()
        self.addCleanup(patch.stop)

    def load(self, entry, lent):
        self.by_main.append(threading.current_thread() is threading.main_thread())
        if not self.by_main[-1]:
            self.begun.set()
            self.go.wait(20)
        return super().load(entry, lent)

    def test_a_call_waits_for_it(self):
        shared = entry("a")
        self.gpu.load_ahead(lambda: shared)
        self.assertTrue(self.begun.wait(20))
        others = []
        self.gpu.load_ahead(lambda: others.append("chosen"))
        self.gpu.rest()
        self.assertFalse(self.go.is_set(), "the web UI frees its memory without waiting")
        self.serve(shared, unet := object())
        self.assertEqual(self.log[-2:], ["load a", ("a", {"a": id(unet)})])
        self.assertEqual((self.by_main, others), ([False], []), "one is loaded, once")

    def test_what_fails_fails_again_in_the_call(self):
        for choose in (lambda: None, lambda: 1 / 0):
            self.gpu.load_ahead(choose)
            self.serve(shared := entry("a"), object())
            self.engines.drop()
            self.assertEqual(self.log.count(f"load {shared.id}"), 1)
            self.log.clear()


class InForge(TestCase):
    def test_an_engine_is_loaded_for_another_checkpoint(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        begun, checkpoint = [], SimpleNamespace(signature="s")
        ours = jobs.Jobs(folder.name, front.Forge())
        ours.index_file.refresh = lambda: None
        unet = ours.session(0).unet
        unet.catalogue.checkpoint = lambda path: checkpoint if path == "/new" else None
        unet.chooser.likely = lambda index, checkpoint, call: (checkpoint.signature, call)
        unet.gpu.load_ahead = lambda choose: begun.append(choose())
        loaded = SimpleNamespace(sd_checkpoint_info=SimpleNamespace(filename="/loaded"))
        for number, path, missing, expected in (
            (0, "/new", None, [("s", (512, 768, 4, 77))]), (0, "/loaded", None, []), (0, "/unknown", None, []),
            (None, "/new", None, []), (0, "/new", "the package is missing", []),
        ):
            machine = {"current": lambda number=number: number, "missing": lambda missing=missing: missing,
                       "on": lambda number: nullcontext()}
            with mock.patch.multiple(jobs.machine, **machine), mock.patch.object(jobs, "loaded_model", lambda: loaded):
                ours.load_ahead(path, 512, 768, 2)
            self.assertEqual(begun, expected, f"{path} on {number}")
            begun.clear()
