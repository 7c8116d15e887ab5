"""Makes A1111 1.10 repeat a pass when a check, one call later, shows that an engine failed in it."""
from __future__ import annotations

from copy import copy, deepcopy

from modules import devices, extra_networks, processing, rng, sd_models, sd_samplers, sd_samplers_cfg_denoiser, shared

from .. import a1111
from ..watch import REPEATS, Repeat, Watch

PROGRESS = ("job_no", "sampling_step", "sampling_steps", "current_image_sampling_step", "current_latent")


def waits():
    """Whether the web UI waits for the GPU in each step. Up to 1.9 its denoiser checks for NaN itself. A denoiser
    that is not the web UI's own may wait too."""
    forward = sd_samplers_cfg_denoiser.CFGDenoiser.forward
    return not is_of(forward, sd_samplers_cfg_denoiser) or "test_for_nans" in forward.__code__.co_names


def is_of(function, module):
    """Whether a function was written in this module, rather than put there."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_filename == module.__file__


def watch(p, unet, before_pass):
    """Lets the next `p.sample` be repeated if necessary. Does nothing if it is not the web UI's own."""
    sample = type(p).sample
    there = vars(p).get("sample")
    is_others = there is not None and not hasattr(there, "sdtrt_watches")
    if is_others or waits() or not is_of(sample, processing):
        return

    def watched(*args, **kwargs):
        # Only for this pass: such objects are copied and reused.
        if vars(p).get("sample") is watched:
            del p.sample
        try:
            saved = Saved(p)
        except Exception as error:
            a1111.say(f"the pass can't be repeated: {type(error).__name__}: {error}; each output is checked at once")
            return sample(p, *args, **kwargs)
        found: tuple = ()
        for last in [False] * REPEATS + [True]:
            try:
                with unet.watched(None if last else Watch(found)):
                    return sample(p, *args, **kwargs)
            except Repeat as repeat:
                found = repeat.found
            # Nothing refers to that pass's tensors any more.
            saved.restore(before_pass)
        raise AssertionError("nothing demands a repetition without a watch")

    watched.sdtrt_watches = True  # type: ignore[attr-defined]
    p.sample = watched


class Saved:
    """The state at the start of a pass."""

    def __init__(self, p):
        self.p = p
        self.own = {name: value for name, value in vars(p).items() if name != "sample"}
        self.parameters = dict(p.extra_generation_params)
        self.rng = copied(p.rng)
        self.random = random_states()
        self.progress = {name: getattr(shared.state, name) for name in PROGRESS}
        self.bar = getattr(bar(), "n", 0)

    def restore(self, before_pass):
        """Restores all of it; may be called repeatedly."""
        p = self.p
        with_hires_networks = getattr(p, "is_hr_pass", False) and not p.disable_extra_networks
        for name in vars(p).keys() - self.own.keys() - {"sample"}:
            delattr(p, name)
        vars(p).update(self.own)
        p.extra_generation_params.clear()
        p.extra_generation_params.update(self.parameters)
        # As the web UI does before each batch: a refiner or the hires pass may have changed these.
        sd_models.reload_model_weights()
        sd_models.apply_token_merging(p.sd_model, p.get_token_merging_ratio())
        sd_models.apply_alpha_schedule_override(p.sd_model, p)
        if with_hires_networks:
            with devices.autocast():
                extra_networks.activate(p, p.extra_network_data)
        if p.sampler is not None:
            p.sampler = sd_samplers.create_sampler(p.sampler_name, p.sd_model)
        before_pass()
        for name, value in self.progress.items():
            setattr(shared.state, name, value)
        if bar() is not None:
            bar().n = self.bar
        # Last, because the code above may draw random numbers.
        p.rng = copied(self.rng)
        put_random_states(self.random)


def bar():
    """Returns the console's progress bar of the whole job, or None."""
    return getattr(shared.total_tqdm, "_tqdm", None)


def copied(noise):
    """Returns an ImageRNG that will draw the same numbers."""
    other = copy(noise)
    if hasattr(noise, "generators"):
        other.generators = [twin(generator) for generator in noise.generators]
    return other


def twin(generator):
    """Copies a generator: torch's, which Python can't copy, or the web UI's own."""
    if not hasattr(generator, "get_state"):
        return deepcopy(generator)
    other = type(generator)(generator.device)
    other.set_state(generator.get_state())
    return other


def random_states():
    """Returns the shared random states: torch's for the CPU and the web UI's GPU, and the web UI's own."""
    import torch

    gpu = torch.cuda.get_rng_state(devices.device) if torch.device(devices.device).type == "cuda" else None
    return torch.get_rng_state(), gpu, deepcopy(getattr(rng, "nv_rng", None))


def put_random_states(states):
    import torch

    cpu, gpu, nv = states
    torch.set_rng_state(cpu)
    if gpu is not None:
        torch.cuda.set_rng_state(gpu, devices.device)
    if nv is not None:
        rng.nv_rng = deepcopy(nv)
