"""Engines' outputs are compared with PyTorch's."""
import json

from sdtrt import machine, place, proofs, proving
from sdtrt.a1111 import hooks

from . import samples
from .test_unet import Served


class Proofs(Served):
    def setUp(self):
        super().setUp()
        self.error = 0.004
        for module, name, stand_in in (
            (proving, "relative_error", lambda found, expected: self.error),
            (machine, "about", lambda: {"gpu": samples.HERE.gpu}),
        ):
            self.addCleanup(setattr, module, name, getattr(module, name))
            setattr(module, name, stand_in)

    def proof(self, of="unet of a"):
        return json.loads(hooks.place.proofs.path("engine", of).read_text())

    def test_the_first_call_is_computed_by_pytorch_too(self):
        unet = self.start(samples.engine(state="unproven"))
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's of a")
        self.assertEqual(self.webui.torch_calls, 1)
        self.assertIn("restore", self.gpu.done, "with the weights in PyTorch's layout")
        kept = self.proof()
        self.assertEqual(kept["relative_error"], 0.004)
        self.assertEqual((kept["shape"], kept["tokens"]), ([2, 4, 64, 64], 77))

    def test_a_validated_engine_is_compared_with_each_unet_too(self):
        self.gpu = samples.Gpu(self, self.folder, compares=True)
        unet = self.start(samples.engine())
        for _ in range(2):
            self.webui.job()
            self.assertEqual(unet.forward(*samples.call()), "engine's of a")
            self.assertEqual(self.webui.torch_calls, 1)
        other = self.folder / "models/other.safetensors"
        other.touch()
        self.webui.refresh_checkpoints()
        self.webui.load(other)
        self.webui.job()
        self.error = 0.3
        unet.forward(*samples.call())
        self.assertEqual(unet.forward(*samples.call()), "PyTorch's of other", "sdtrtd validated it with other weights")

    def test_a_unet_that_is_in_no_file_is_known_by_its_signature(self):
        unet = self.start(samples.engine(state="unproven"))
        self.publish(samples.engine(state="unproven"))
        merged = self.folder / "models/merged.safetensors"
        merged.touch()
        self.webui.refresh_checkpoints()
        self.webui.load(merged)
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "engine's of merged")
        self.assertEqual(self.proof(samples.signature_of())["relative_error"], 0.004)

    def test_an_engine_that_is_far_off_is_not_used(self):
        self.error = 0.3
        unet = self.start(samples.engine(state="unproven"))
        self.webui.job()
        for _ in range(2):
            self.assertEqual(unet.forward(*samples.call()), "PyTorch's of a")
        self.assertIn("3.0e-01 off", " ".join(self.gpu.said))
        # After a restart of the web UI, with another engine.
        hooks.unet.chooser.place = place.Place(self.folder)
        self.publish(samples.engine(), samples.engine("second"))
        self.webui.job()
        self.assertEqual(unet.forward(*samples.call()), "second's of a")

    def test_an_engine_just_past_the_bound_is_judged_by_several_calls(self):
        nan = float("nan")
        for errors, computed, recorded in (
            ([0.021, 0.01, 0.012], "Pee", 0.0155), ([0.021, 0.03, 0.01], "PPP", 0.021),
            ([0.021, 0.022, 0.023], "PPP", 0.022), ([0.021, 0.3], "PP", 0.1605), ([0.021, nan], "PP", None),
            ([0.3], "P", 0.3), ([0.004, 0.3], "ee", 0.004),
        ):
            with self.subTest(errors):
                for path in self.folder.glob("proofs/*"):
                    path.unlink()
                samples.Gpu(self, self.folder)
                unet = self.start(samples.engine(state="unproven"))
                self.webui.job()
                found = []
                for self.error in errors:
                    found.append(unet.forward(*samples.call())[0])
                self.assertEqual("".join(found), computed)
                kept = self.proof()["relative_error"]
                self.assertEqual(kept and round(kept, 6), recorded)

    def test_the_bound_is_the_daemons(self):
        self.error = 0.021
        for bound, computed in ((None, "PyTorch's of a"), (0.03, "engine's of a"), (0.01, "PyTorch's of a")):
            with self.subTest(bound):
                for path in self.folder.glob("proofs/*"):
                    path.unlink()
                samples.Gpu(self, self.folder)
                unet = self.start(samples.engine(state="unproven"))
                if bound is not None:
                    tree = json.loads(hooks.place.index.read_text())
                    hooks.place.index.write_text(json.dumps(tree | {"bound": bound}))
                self.webui.job()
                for _ in range(3):
                    self.assertEqual(unet.forward(*samples.call()), computed)
                self.assertEqual(self.proof()["bound"], bound or 0.02, "an older daemon does not say it")

    def test_no_comparison_with_what_pytorch_approximates(self):
        unet = self.start(samples.engine(state="unproven"))
        model = self.webui.models.model_data.sd_model
        for holder, name, said in (
            (model, "applied_token_merged_ratio", "token merging"),
            (self.webui.shared.opts, "hypertile_enable_unet_secondpass", "HyperTile"),
        ):
            with self.subTest(name):
                setattr(holder, name, True)
                self.webui.job()
                self.assertEqual(unet.forward(*samples.call()), "engine's of a")
                setattr(holder, name, False)
                self.assertIn(said, self.gpu.said[-1])
        self.assertEqual(self.webui.torch_calls, 0)
        self.assertIsNone(hooks.place.proofs.error("engine", "unet of a"))

    def test_weights_in_fp8_are_compared_with_an_engine_that_reads_them(self):
        for engine, calls in ((samples.baked(state="unproven"), 0), (samples.engine(state="unproven"), 1)):
            unet = self.start(engine)
            self.webui.devices.fp8 = True
            self.webui.job()
            unet.forward(*samples.call())
            self.assertEqual(self.webui.torch_calls, calls, engine["kind"])

    def test_comparisons_are_stored(self):
        for error, holds in ((0.019, True), (0.021, False), (float("nan"), False), (float("inf"), False)):
            self.assertEqual(proofs.holds(error, 0.02), holds)
            seen = proofs.Proofs(self.folder / "proofs")
            seen.record("engine", "unet", error, 0.02, {"gpu": "one"})
            tree = json.loads(seen.path("engine", "unet").read_text())
            self.assertEqual((tree["engine"], tree["unet"], tree["gpu"]), ("engine", "unet", "one"))
            self.assertEqual(tree["bound"], 0.02)
            again = proofs.Proofs(self.folder / "proofs")
            self.assertEqual(proofs.holds(again.error("engine", "unet"), 0.02), holds)
            self.assertIsNone(again.error("engine", "other"))
            self.assertEqual(len(list(self.folder.glob("proofs/*"))), 1, "no temporary file is left")
