"""Output that is not finite never reaches the web UI, and is not computed twice."""
import json

from sdtrt import place, unet, unusable
from sdtrt.a1111 import hooks

from . import samples
from .test_unet import UNET_LORA, Served

MEGAPIXEL = 1024 * 1024
TORCH, ENGINE, SECOND = "PyTorch's of a", "engine's of a", "second's of a"


def engine(name="engine", **changes):
    """An engine for sizes up to 2048 × 2048."""
    return samples.engine(name, profiles=[samples.SMALL, samples.LARGE], **changes)


class Unusable(Served):
    def setUp(self):
        super().setUp()
        # From this size on its output is not finite.
        self.gpu.overflows["engine"] = MEGAPIXEL

    def job(self, *engines):
        """Starts a job."""
        found = self.start(*engines)
        self.webui.job()
        return found

    def again(self):
        """Starts a job after a restart of the web UI."""
        hooks.unet.chooser.place = place.Place(self.folder)
        self.webui.job()
        del self.gpu.calls[:], self.gpu.said[:]

    def served(self, width=1024, height=1024, **call):
        """Returns who computed a call, and whether an engine was tried."""
        before = len(self.gpu.calls)
        latent = hooks.unet.forward(*samples.call(width, height, **call))
        return latent, len(self.gpu.calls) > before

    def kept(self, of="engine-unet of a"):
        path = self.folder / f"unusable/{of}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def test_pytorchs_result_is_used_and_the_engine_not_tried_again(self):
        self.job(engine())
        self.assertEqual(self.served(), (TORCH, True))
        self.assertEqual(self.gpu.done[-1], "restore", "PyTorch's layout is put back first")
        for _ in range(2):
            self.assertEqual(self.served(), (TORCH, False))
        self.assertEqual(len(self.gpu.said), 1, self.gpu.said)
        self.assertIn("1024×1024, batch 2, 77 tokens: engine engine gave NaN or infinity", self.gpu.said[0])
        kept = self.kept()
        self.assertAlmostEqual(kept["sizes"][0].pop("time"), unet.time.time(), delta=60)
        size = {"width": 1024, "height": 1024, "batch": 2, "tokens": 77}
        sizes = [{"gpu": samples.HERE.gpu, "driver": samples.DRIVER} | size]
        self.assertEqual(kept, {"version": 1, "engine": "engine", "unet": "unet of a", "sizes": sizes})
        self.again()
        self.assertEqual(self.served(), (TORCH, False))
        self.assertIn("at 1024×1024", self.gpu.said[0], "once in each job")

    def test_larger_sizes_are_not_tried_and_smaller_ones_are_served(self):
        self.job(engine())
        self.served()
        for size, expected in (
            ((1024, 1016), (ENGINE, True)),
            ((2048, 512), (TORCH, False)),
            ((2048, 2048), (TORCH, False)),
            ((512, 512), (ENGINE, True)),
        ):
            for call in ({}, {"batch": 1}, {"tokens": 154}):
                self.assertEqual(self.served(*size, **call), expected, (size, call))

    def test_the_smallest_of_several_sizes_counts(self):
        self.job(engine())
        self.served(2048, 2048)
        self.assertEqual(self.served(1536, 1024), (TORCH, True))
        self.again()
        self.assertEqual(self.served(1528, 1032), (TORCH, False))
        self.assertEqual([size["width"] for size in self.kept()["sizes"]], [2048, 1536])

    def test_another_engine_takes_over(self):
        self.job(engine(), engine("second"))
        self.assertEqual(self.served(), (TORCH, True), "an engine that was not checked yet is not tried")
        self.assertEqual(self.served(), (SECOND, True))
        self.gpu.overflows["second"] = MEGAPIXEL
        self.assertEqual(self.served(), (TORCH, True))
        self.assertEqual(self.served(), (TORCH, False))
        self.assertEqual(self.served(512, 512), (ENGINE, True))
        self.assertEqual(len(self.gpu.said), 2, self.gpu.said)

    def test_nothing_is_recorded_if_pytorch_fails_too(self):
        self.job(engine())
        self.webui.torch_unet.finite = False
        for _ in range(2):
            self.assertEqual(self.served(), (TORCH, True))
        self.assertIn("as PyTorch does", " ".join(self.gpu.said))
        self.assertEqual(len(self.gpu.said), 1)
        self.webui.torch_unet.finite = True
        self.gpu.overflows.clear()
        self.assertEqual(self.served(), (ENGINE, True))
        self.assertIsNone(self.kept())

    def test_inputs_that_are_not_finite_record_nothing(self):
        self.gpu.overflows.clear()
        self.job(engine())
        x, timesteps, context = samples.call()
        x.finite = False
        self.assertEqual(hooks.unet.forward(x, timesteps, context), TORCH)
        x.finite, context.finite = True, False
        self.gpu.overflows["engine"] = 0
        self.assertEqual(hooks.unet.forward(x, timesteps, context), TORCH)
        self.assertIn("of inputs that have some", self.gpu.said[0])
        self.gpu.overflows.clear()
        self.assertEqual(self.served(512, 512), (ENGINE, True))
        self.assertIsNone(self.kept())

    def test_weights_with_loras_are_distinct_and_not_stored(self):
        self.job(engine())
        self.webui.networks.loaded_networks = [UNET_LORA]
        self.assertEqual(self.served(), (TORCH, True))
        self.webui.start_pass()
        self.assertEqual(self.served(), (TORCH, False), "the same LoRAs in the next pass")
        self.gpu.overflows.clear()
        self.webui.networks.loaded_networks = []
        self.assertEqual(self.served(), (ENGINE, True))
        self.assertEqual(list(self.folder.glob("unusable/*")), [])
        self.webui.networks.loaded_networks = [UNET_LORA]
        self.assertEqual(self.served(), (TORCH, False))
        self.again()
        self.assertEqual(self.served(), ("engine's of a with spice", True))

    def test_weights_that_are_in_no_file_are_not_stored(self):
        self.job(engine())
        self.publish(engine())
        merged = self.folder / "models/merged.safetensors"
        merged.touch()
        self.webui.refresh_checkpoints()
        self.webui.load(merged)
        self.webui.job()
        self.assertEqual(self.served(), ("PyTorch's of merged", True))
        self.assertEqual(self.served(), ("PyTorch's of merged", False))
        self.assertEqual(list(self.folder.glob("unusable/*")), [])

    def test_another_checkpoint_is_served(self):
        self.job(engine())
        self.served()
        other = self.folder / "models/b.safetensors"
        other.touch()
        self.webui.refresh_checkpoints()
        checkpoints = samples.checkpoint("a", [self.path]), samples.checkpoint("b", [other])
        (self.folder / "index.json").write_text(samples.text(*checkpoints, shared=[engine()]))
        self.gpu.overflows.clear()
        self.webui.load(other)
        self.webui.job()
        self.assertEqual(self.served(), ("engine's of b", True))
        self.webui.load(self.path)
        self.webui.job()
        self.assertEqual(self.served(), (TORCH, False))

    def test_another_driver_or_gpu_tries_again(self):
        for name, stand_in in (
            ("driver", lambda: "590.1"), ("here", lambda: samples.HERE._replace(gpu="another")),
        ):
            with self.subTest(name):
                self.job(engine())
                self.gpu.overflows["engine"] = MEGAPIXEL
                self.served()
                before = getattr(unet.machine, name)
                setattr(unet.machine, name, stand_in)
                self.again()
                self.gpu.overflows.clear()
                self.assertEqual(self.served(), (ENGINE, True))
                setattr(unet.machine, name, before)
                self.again()
                self.assertEqual(self.served(), (TORCH, False))

    def test_a_folder_that_can_not_be_written_is_reported_once_and_the_size_kept(self):
        self.job(engine())
        (self.folder / "unusable").write_text("no folder")
        self.assertEqual(self.served(), (TORCH, True))
        self.webui.job()
        for _ in range(2):
            self.assertEqual(self.served(), (TORCH, False))
        self.assertEqual(sum("could not be saved" in line for line in self.gpu.said), 1, self.gpu.said)

    def test_no_comparison_with_output_that_is_not_finite(self):
        self.job(engine(state="unproven"))
        self.assertEqual(self.served(), (TORCH, True))
        self.assertEqual(self.webui.torch_calls, 1)
        self.assertEqual(list(self.folder.glob("proofs/*")), [], "it is right at other sizes")

    def test_after_an_error_of_pytorch_memory_is_freed_and_it_tries_again(self):
        self.job(engine())
        forward, errors = hooks.a1111.torch_forward, [RuntimeError("CUDA out of memory")]
        self.addCleanup(setattr, hooks.a1111, "torch_forward", forward)

        def short(*args, **kwargs):
            if errors:
                raise errors.pop()
            return forward(*args, **kwargs)

        hooks.a1111.torch_forward = short
        self.assertEqual(self.served(), (TORCH, True))
        self.assertIn("drop", self.gpu.done)

    def test_others_entries_are_kept_and_invalid_files_ignored(self):
        where = self.folder / "unusable"
        size = unusable.Size("GPU", "1.2", 1024, 512, 2, 77, 1)
        least = lambda of: of.least("engine", "unet", None, "GPU", "1.2")
        one, other = unusable.Unusable(where), unusable.Unusable(where)
        self.assertEqual((least(one), least(other)), (None, None))
        one.add("engine", "unet", None, size)
        other.add("engine", "unet", None, size._replace(width=768))
        self.assertEqual(least(unusable.Unusable(where)).width, 768)
        path = one.path("engine", "unet")
        tree = json.loads(path.read_text())
        self.assertEqual(len(tree["sizes"]), 2)
        self.assertEqual(len(list(where.iterdir())), 1, "no temporary file is left")
        for damage in (
            tree | {"version": 2}, tree | {"unet": "unetwo"}, tree | {"sizes": [{"gpu": "GPU"}]},
            tree | {"sizes": None}, [],
        ):
            path.write_text(json.dumps(damage))
            self.assertIsNone(least(unusable.Unusable(where)), damage)
        path.write_text("{")
        self.assertIsNone(least(unusable.Unusable(where)))
