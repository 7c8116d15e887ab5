"""A pass is repeated if an engine is found, one call later, to have failed in it."""
import types
import unittest
import unittest.mock
from types import SimpleNamespace

from sdtrt import watch
from sdtrt.a1111 import hooks, repeat

from . import samples
from .test_unet import Served
from .test_unusable import ENGINE, MEGAPIXEL, SECOND, TORCH, engine


class Interrupted(BaseException):
    """The web UI's own class of this name."""


class Denoiser:
    """A1111 1.10's denoiser, which checks nothing."""

    def forward(self):
        return None


class WaitingDenoiser:
    """A1111 1.9's denoiser."""

    def forward(self):
        devices.test_for_nans(None, "unet")  # noqa: F821


class Processing:
    """Generates an image: passes at several sizes, with a step at each."""

    sampler_name = "Euler a"
    disable_extra_networks = False
    sd_model = "model"

    def __init__(self, *sizes):
        self.sizes, self.sampler, self.rng = sizes, None, SimpleNamespace(drawn=0)
        self.extra_generation_params = {"of": "the job"}
        self.c, self.extra_network_data = "text", "networks of the job"
        # What else is done in each step.
        self.steps = {}

    def get_token_merging_ratio(self):
        return 0.25

    def sample(self, conditioning, seeds):
        shared = hooks.repeat.shared
        assert (conditioning, seeds) == ("text", [1])
        assert (self.c, self.rng.drawn, shared.state.job_no) == ("text", 0, 1), "it starts from another state"
        assert self.extra_generation_params == {"of": "the job"} and not hasattr(self, "late")
        self.sampler, done = "a sampler", []
        try:
            for step, (width, height) in enumerate(self.sizes):
                self.rng.drawn, self.c, self.late = step + 1, "text of a refiner", True
                self.extra_generation_params["at"] = step
                self.is_hr_pass = step > 1
                shared.state.job_no += 1
                shared.state.sampling_step += 1
                shared.total_tqdm._tqdm.n += 1
                self.steps.get(step, lambda: None)()
                done.append(hooks.unet.forward(*samples.call(width, height)))
        except Interrupted:
            pass
        return done


class Watched(Served):
    def setUp(self):
        super().setUp()
        samples.Look.read_so_far = 0
        self.gpu.overflows["engine"] = MEGAPIXEL
        self.did = did = []
        tell = lambda what: lambda *args, **kwargs: did.append((what, *args[1:]))
        for module, names in {
            repeat.processing: {"__file__": __file__},
            repeat.sd_samplers_cfg_denoiser: {"__file__": __file__, "CFGDenoiser": Denoiser},
            repeat.sd_models: {
                "reload_model_weights": lambda: did.append(("reload",)), "apply_token_merging": tell("merging"),
                "apply_alpha_schedule_override": tell("schedule"),
            },
            repeat.extra_networks: {"activate": tell("networks")},
            repeat.sd_samplers: {"create_sampler": lambda name, model: f"a new {name}"},
            repeat: {"random_states": lambda: "states", "put_random_states": lambda states: did.append((states,))},
        }.items():
            for name, value in names.items():
                self.put(module, name, value)

    def put(self, module, name, value):
        if hasattr(module, name):
            self.addCleanup(setattr, module, name, getattr(module, name))
        else:
            self.addCleanup(delattr, module, name)
        setattr(module, name, value)

    def pass_of(self, *sizes, kind=Processing, engines=None):
        """Starts a job, and returns its pass."""
        self.start(*(engines or [engine()]))
        self.webui.shared.state = SimpleNamespace(
            job_no=1, sampling_step=0, sampling_steps=0, current_image_sampling_step=0, current_latent=None
        )
        self.webui.shared.total_tqdm = SimpleNamespace(_tqdm=SimpleNamespace(n=7))
        self.webui.devices.autocast = lambda: unittest.mock.MagicMock()
        self.webui.job()
        p = kind(*sizes)
        hooks.before_batch(p)
        return p

    def sampled(self, p):
        found = p.sample("text", seeds=[1])
        self.assertNotIn("sample", vars(p), "only for one pass")
        self.assertIsNone(hooks.unet.watch)
        return found

    def marked(self):
        return len(list(self.folder.glob("unusable/*")))

    def test_no_output_is_checked_before_the_next_call(self):
        p = self.pass_of((512, 512), (512, 512))
        looked = []
        p.steps = {step: lambda: looked.append(samples.Look.read_so_far) for step in (0, 1)}
        self.assertEqual(self.sampled(p), [ENGINE] * 2)
        self.assertEqual((looked, samples.Look.read_so_far), ([0, 0], 2), "and the last when the pass ends")
        self.assertEqual(self.did, [])

    def test_from_the_size_of_a_failure_on_pytorch_computes_the_whole_pass(self):
        p = self.pass_of((1024, 1024), (512, 512), (2048, 1024))
        self.assertEqual(self.sampled(p), [TORCH, ENGINE, TORCH])
        self.assertEqual(len(self.gpu.calls), 2, "the first call, and the small one of the repetition")
        self.assertEqual(self.marked(), 1)
        lines = [line for line in self.gpu.said if "with these weights" in line]
        self.assertEqual(len(lines), 1, self.gpu.said)
        self.webui.job()
        hooks.before_batch(p := Processing((1024, 1024)))
        self.webui.shared.state.job_no, self.did[:] = 1, []
        self.assertEqual(self.sampled(p), [TORCH])
        self.assertEqual(self.did, [], "not tried again")

    def test_pytorch_computes_the_earlier_steps_too(self):
        p = self.pass_of(*[(768, 768)] * 4)
        self.gpu.overflows.clear()
        p.steps = {2: lambda: self.gpu.overflows.update(engine=0)}
        self.assertEqual(self.sampled(p), [TORCH] * 4)
        self.assertEqual(len(self.gpu.calls), 3)

    def test_the_last_call_counts_too(self):
        p = self.pass_of((512, 512), (1024, 1024))
        self.assertEqual(self.sampled(p), [ENGINE, TORCH])
        self.assertEqual(self.marked(), 1)

    def test_the_state_at_the_start_of_the_pass_is_restored(self):
        p = self.pass_of((512, 512), (512, 512), (1024, 1024), (1024, 1024))
        fresh = []
        p.steps = {0: lambda: fresh.append(hooks.unet.subject)}
        self.assertEqual(self.sampled(p), [ENGINE] * 2 + [TORCH] * 2)
        self.assertEqual(self.did, [
            ("reload",), ("merging", 0.25), ("schedule", p), ("networks", "networks of the job"), ("states",),
        ])
        self.assertEqual(fresh, [None, None], "the weights are examined again")
        self.assertEqual((self.webui.shared.state.job_no, self.webui.shared.total_tqdm._tqdm.n), (5, 11))

    def test_a_sampler_from_before_the_pass_is_created_again(self):
        p = self.pass_of((1024, 1024))
        p.sampler, seen = "of its init", []
        kind = type(p)
        create = lambda name, model: seen.append((name, model)) or "new"
        self.put(repeat.sd_samplers, "create_sampler", create)
        self.sampled(p)
        self.assertEqual(seen, [(kind.sampler_name, kind.sd_model)])

    def test_an_error_caused_by_output_that_is_not_finite_is_ignored(self):
        p = self.pass_of((1024, 1024), (512, 512))
        errors = [ValueError("A tensor with NaNs was produced in VAE.")]

        def check():
            if errors:
                raise errors.pop()

        p.steps = {1: check}
        self.assertEqual(self.sampled(p), [TORCH, ENGINE])
        errors = [ValueError("another")]
        hooks.before_batch(p := Processing((512, 512), (512, 512)))
        p.steps, self.webui.shared.state.job_no = {1: check}, 1
        with self.assertRaisesRegex(ValueError, "another"):
            self.sampled(p)

    def test_an_interrupted_pass_records_only_what_pytorch_computed(self):
        p = self.pass_of((512, 512), (1024, 1024), (512, 512))

        def interrupt():
            raise Interrupted

        begun = []
        p.steps = {0: lambda: begun.append(1) if not begun else interrupt(), 2: interrupt}
        self.assertEqual(self.sampled(p), [])
        self.assertEqual(self.marked(), 0)
        p = self.pass_of(*[(768, 768)] * 3)
        self.gpu.overflows.clear()
        p.steps = {1: lambda: interrupt() if self.gpu.overflows else self.gpu.overflows.update(engine=0)}
        self.assertEqual(self.sampled(p), [TORCH])
        self.assertEqual(self.marked(), 0, "PyTorch's call before says nothing of this one")

    def test_nothing_is_recorded_that_pytorch_did_not_compute(self):
        p = self.pass_of((1024, 1024), (512, 512))
        others = self.webui.shared.loaded_hypernetworks
        p.steps = {0: lambda: others.append("style") if self.did else None}
        self.assertEqual(self.sampled(p), [TORCH] * 2)
        self.assertEqual(self.marked(), 0)
        self.assertNotIn("as PyTorch does", " ".join(self.gpu.said))

    def test_nothing_is_recorded_after_an_error_of_pytorch(self):
        p = self.pass_of(*[(768, 768)] * 3)
        self.gpu.overflows.clear()

        def step():
            if self.gpu.overflows:
                raise RuntimeError("CUDA out of memory")
            self.gpu.overflows.update(engine=0)

        p.steps = {1: step}
        with self.assertRaisesRegex(RuntimeError, "out of memory"):
            self.sampled(p)
        self.assertEqual((self.marked(), hooks.unet.watch), (0, None))

    def test_another_engine_takes_over_from_the_next_pass_on(self):
        p = self.pass_of((1024, 1024), engines=[engine(), engine("second")])
        self.assertEqual(self.sampled(p), [TORCH])
        hooks.before_batch(p := Processing((1024, 1024)))
        self.webui.shared.state.job_no = 1
        self.assertEqual(self.sampled(p), [SECOND])

    def test_an_interrupted_pass_without_failures_is_not_repeated(self):
        p = self.pass_of((512, 512), (512, 512))

        def interrupt():
            raise KeyboardInterrupt

        p.steps = {1: interrupt}
        with self.assertRaises(KeyboardInterrupt):
            self.sampled(p)

    def test_a_failure_of_pytorch_too_is_not_recorded_and_repeated_once_per_job(self):
        p = self.pass_of((1024, 1024), (1024, 1024))
        self.webui.torch_unet.finite = False
        self.assertEqual(self.sampled(p), [TORCH] * 2)
        self.assertEqual(self.marked(), 0)
        self.assertIn("as PyTorch does", " ".join(self.gpu.said))
        hooks.before_batch(p := Processing((1024, 1024)))
        self.webui.shared.state.job_no, self.did[:] = 1, []
        self.assertEqual(self.sampled(p), [TORCH])
        self.assertEqual(self.did, [])
        self.webui.job()
        self.assertEqual(hooks.unet.barred, {})

    def test_inputs_that_are_not_finite_repeat_nothing(self):
        class Bad(Processing):
            def sample(self):
                x, *others = samples.call()
                x.finite = False
                return [hooks.unet.forward(x, *others)]

        p = self.pass_of(kind=Bad)
        self.assertEqual(p.sample(), [ENGINE])
        self.assertEqual((self.did, self.marked()), ([], 0))
        self.assertIn("of inputs that have some", self.gpu.said[0])

    def test_smaller_sizes_that_fail_later_are_repeated_too(self):
        p = self.pass_of((1024, 1024), (512, 512))
        p.steps = {1: lambda: self.gpu.overflows.update(engine=0)}
        self.assertEqual(self.sampled(p), [TORCH] * 2)
        self.assertEqual(sum(what == ("reload",) for what in self.did), 2)
        kept = hooks.unet.chooser.place.unusable._read("engine", "unet of a")
        self.assertEqual([size.width for size in kept], [1024, 512])

    def test_after_too_many_repetitions_outputs_are_checked_at_once(self):
        p = self.pass_of((1024, 1024))
        self.put(repeat, "REPEATS", 2)
        p.steps = {0: lambda: hooks.unet.barred.clear()}
        self.assertEqual(self.sampled(p), [TORCH])
        self.assertEqual(len(self.gpu.calls), 3)

    def test_the_first_comparison_is_checked_at_once(self):
        self.start(engine(state="unproven"))
        self.webui.job()
        with hooks.unet.watched(watch.Watch()):
            self.assertEqual(hooks.unet.forward(*samples.call(1024, 1024)), TORCH)
        self.assertEqual((samples.Look.read_so_far, self.marked()), (0, 1))

    def test_replaced_methods_are_not_watched(self):
        for kind in (WaitingDenoiser, types.SimpleNamespace(forward=len)):
            self.put(repeat.sd_samplers_cfg_denoiser, "CFGDenoiser", kind)
            self.assertNotIn("sample", vars(self.pass_of()), kind)
        self.put(repeat.sd_samplers_cfg_denoiser, "CFGDenoiser", Denoiser)
        p = self.pass_of()
        self.assertIn("sample", vars(p))
        hooks.before_batch(p)
        self.assertIn("sample", vars(p), "ours may be there from a pass that did not begin")
        p.sample = mine = lambda: "another extension's"
        hooks.before_batch(p)
        self.assertIs(p.sample, mine)
        self.put(repeat.processing, "__file__", "elsewhere.py")
        self.assertNotIn("sample", vars(self.pass_of()), "patched in the class")

    def test_without_repetition_outputs_are_checked_at_once(self):
        self.put(repeat.sd_samplers_cfg_denoiser, "CFGDenoiser", WaitingDenoiser)
        p = self.pass_of((512, 512), (1024, 1024), (512, 512))
        self.assertEqual(p.sample("text", seeds=[1]), [ENGINE, TORCH, ENGINE])
        self.assertEqual((self.did, self.marked(), samples.Look.read_so_far), ([], 1, 0))
