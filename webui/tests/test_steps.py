"""A step of Forge's sampler is computed again if an engine is found, when the step ends, to have failed in it."""
import gc
from types import SimpleNamespace
from unittest.mock import patch
from weakref import ref

from sdtrt.a1111 import hooks
from sdtrt.forge import steps

from . import samples
from .test_unet import Served
from .test_unusable import ENGINE, MEGAPIXEL, TORCH, engine


class Denoiser:
    """Forge's, with a size for each call of its UNet in a step."""

    def __init__(self, *sizes):
        self.sizes, self.step, self.seen = sizes, 0, []
        self.sampler = SimpleNamespace(sampler_extra_args={"cond": "text", "uncond": "no text"})
        self.refines = False

    def forward(self, x, cond=None, uncond=None):
        if self.refines:
            self.sampler.sampler_extra_args["cond"] = cond = "the refiner's"
            self.refines = False
        self.seen.append((x, cond, uncond, self.step))
        found = [hooks.unet.forward(*samples.call(width, height)) for width, height in self.sizes]
        self.step += 1
        self.looked = samples.Look.read_so_far
        return found

    def __call__(self, x):
        # As samplers do: with the conditions from before the step.
        return self.forward(x, **self.sampler.sampler_extra_args)


class Steps(Served):
    def setUp(self):
        super().setUp()
        samples.Look.read_so_far = 0
        self.gpu.overflows["engine"] = MEGAPIXEL
        self.put_back = []
        for name, stand_in in (
            ("random_states", lambda number: "states"),
            ("put_random_states", lambda number, states: self.put_back.append((number, states))),
        ):
            replaced = patch.object(steps, name, stand_in)
            replaced.start()
            self.addCleanup(replaced.stop)
        self.start(engine())
        self.webui.job()
        self.session = SimpleNamespace(number=0, unet=hooks.unet)

    def watched(self, *sizes):
        denoiser = Denoiser(*sizes)
        steps.watch(denoiser, lambda file: file == __file__, lambda: self.session)
        return denoiser

    def test_no_output_is_waited_for_before_the_step_ends(self):
        denoiser = self.watched((512, 512))
        self.assertEqual(denoiser("x"), [ENGINE])
        self.assertEqual((denoiser.looked, samples.Look.read_so_far), (0, 1))
        self.assertEqual((denoiser.step, self.put_back), (1, []))
        self.assertIsNone(hooks.unet.watch)

    def test_pytorch_computes_a_step_in_which_an_engine_fails(self):
        denoiser = self.watched((1024, 1024))
        self.assertEqual(denoiser("x"), [TORCH])
        self.assertEqual(denoiser.seen, [("x", "text", "no text", 0)] * 2)
        self.assertEqual((denoiser.step, self.put_back), (1, [(0, "states")]))
        self.assertEqual(len(list(self.folder.glob("unusable/*"))), 1)
        self.assertEqual(denoiser("y"), [TORCH])
        self.assertEqual(len(self.gpu.calls), 1, "it is known now")

    def test_each_call_of_a_step_counts(self):
        denoiser = self.watched((1024, 1024), (512, 512))
        self.assertEqual(denoiser("x"), [TORCH, ENGINE])

    def test_a_refiner_that_came_in_the_step_is_not_forgotten(self):
        denoiser = self.watched((1024, 1024))
        denoiser.refines = True
        self.assertEqual(denoiser("x"), [TORCH])
        self.assertEqual([cond for _, cond, _, _ in denoiser.seen], ["the refiner's"] * 2)

    def test_what_is_left_alone(self):
        for is_own, there in ((False, None), (True, lambda x, **others: "another's")):
            denoiser = Denoiser((512, 512))
            if there is not None:
                denoiser.forward = there
            steps.watch(denoiser, lambda file, is_own=is_own: is_own, lambda: self.session)
            self.assertIs(vars(denoiser).get("forward"), there)
        denoiser = self.watched((1024, 1024))
        once = denoiser.forward
        steps.watch(denoiser, lambda file: True, lambda: self.session)
        self.assertIs(denoiser.forward, once)
        # Without engines, and where the random numbers can't be had.
        self.session = None
        self.assertEqual(denoiser("x"), [TORCH])
        self.session = SimpleNamespace(number=0, unet=hooks.unet)
        with patch.object(steps, "random_states", side_effect=RuntimeError("no CUDA")):
            self.assertEqual(denoiser("x"), [TORCH])

    def test_nothing_keeps_the_denoiser_alive(self):
        denoiser = self.watched((512, 512))
        gone = ref(denoiser)
        gc.disable()
        self.addCleanup(gc.enable)
        del denoiser
        self.assertIsNone(gone())
