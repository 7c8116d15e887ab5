"""The UNet that the web UI calls instead of its own."""
from __future__ import annotations

import time
from functools import wraps

from . import calls, lora, machine, proofs


class HandOver(Exception):
    """Why PyTorch computes a call, for people."""


def on_its_gpu(method):
    """Has the web UI's GPU as CUDA's current one meanwhile."""

    @wraps(method)
    def there(self, *args, **kwargs):
        with machine.on(self.host.gpu()):
            return method(self, *args, **kwargs)

    return there


class Unet:
    """A checkpoint's engines, one of them loaded. Whatever they can't do, PyTorch does.

    `place` is where things are kept: `place.cache(engine)` its runtime cache and `place.proofs` what
    engines were seen to compute. `host` is the module a1111."""

    def __init__(self, checkpoint, path, place, host):
        self.checkpoint = checkpoint
        # As the web UI calls the file.
        self.path = path
        self.place = place
        self.host = host
        self.entry = self.engine = self.refit = None
        self.start_job()

    def start_job(self):
        """What did not work is tried once more, and said once more."""
        self.failed = {}
        self.said = set()
        self.answers = {}
        # Why the LoRAs that are on can't be had, once that was found out.
        self.unfit = None
        self.provable = True
        self._seen_loras = None
        self.start_pass()

    def start_pass(self):
        """What came before may have changed the web UI's own UNet, or left it on the GPU."""
        self.torch_may_be_loaded = True
        self.looked_inside = False
        self.altered = None

    @on_its_gpu
    def activate(self):
        """Loads the engine that is the likeliest to be used. Never raises."""
        try:
            if self.host.loaded_path() == self.path:
                self._load(self._usable()[0])
        except HandOver as why:
            self._say(f"{why}; PyTorch computes instead")
        except Exception as error:
            self._give_up(error)

    @on_its_gpu
    def deactivate(self):
        """Gives the GPU's memory back. Never raises."""
        self.end_job()
        self.entry = self.engine = self.refit = None
        try:
            self.host.give_back()
        except Exception as error:
            self._say(f"PyTorch's UNet could not be moved to the GPU: {error}")

    def step_aside(self):
        """Has the web UI's own UNet on the GPU for an extension that works inside of it."""
        self._say(f"{self.host.obstacle()}; PyTorch computes")
        self.host.wake_for_later()

    def end_job(self):
        """Keeps the kernels that were compiled. Never raises."""
        if self.engine is not None:
            try:
                self.engine.cache.save(proofs.write)
            except Exception as error:
                self._say(f"compiled kernels could not be kept: {error}")

    @on_its_gpu
    def forward(self, x, timesteps, context, *args, **kwargs):
        """x [batch, channels, height, width], timesteps [batch], context [batch, tokens, width], and y
        [batch, width] where the model has it. Returns [batch, 4, height, width]."""
        try:
            return self._forward(x, timesteps, context, *args, **kwargs)
        except HandOver as why:
            self._say(str(why))
        except lora.Unsupported as why:
            # Found out before any weight was changed.
            self.unfit = f"{why}; PyTorch computes it"
            self._say(self.unfit)
        except Exception as error:
            self._give_up(error)
        return self.host.torch_forward(x, timesteps, context, *args, **kwargs)

    def _forward(self, x, timesteps, context, y=None, **others):
        if self.host.loaded_path() != self.path:
            raise HandOver("another checkpoint is loaded than the engine is of; PyTorch computes it")
        obstacle = self.host.obstacle() or self._inside()
        if obstacle is not None or others:
            why = obstacle or f"{', '.join(others)} came with the call"
            raise HandOver(f"{why}, which engines don't know; PyTorch computes it")
        networks = self.host.networks()
        entry, profile = self._serving(calls.Call.of(x.shape, context.shape), networks)
        if self.torch_may_be_loaded:
            self.host.rest()
            self.torch_may_be_loaded = False
        self._load(entry)
        inputs = {"sample": x, "timesteps": timesteps, "encoder_hidden_states": context}
        if y is not None:
            inputs["y"] = y
        if inputs.keys() != self.engine.inputs:
            raise HandOver("the engine takes other inputs than this model; PyTorch computes it")
        if self.refit is not None:
            left_out = self.refit.follow(networks)
            if left_out:
                self._say(f"LoRAs do not fit {left_out} layers, which are left as they are")
        latent = self.engine(profile, inputs)
        if self.provable and not self._is_proven(entry):
            return self._prove(entry, latent, inputs)
        return latent

    def _inside(self):
        """What another extension does inside of the web UI's UNet in this pass, for people."""
        if not self.looked_inside:
            self.looked_inside, self.altered = True, self.host.altered()
        return self.altered and f"another extension works at {self.altered} of the UNet"

    def _serving(self, call, networks):
        """The engine and the optimization profile for a call."""
        loras = lora.state(networks)
        if loras != self._seen_loras:
            self._seen_loras, self.answers, self.unfit = loras, {}, None
        if call not in self.answers:
            self.answers[call] = self._choose(call, lora.touches_unet(networks))
        entry, profile = self.answers[call]
        why = self.failed.get(entry.id) or self.unfit
        if why is not None:
            raise HandOver(why)
        return entry, profile

    def _choose(self, call, with_loras):
        entries = self._usable()
        able = [entry for entry in entries if entry.is_shared or not with_loras]
        if not able:
            raise HandOver(
                "LoRAs change the UNet, and this checkpoint has only engines with fixed weights; "
                "PyTorch computes with them. `engines = \"shared\"` in sdtrtd.toml gives it one that takes them"
            )
        # What is loaded serves as long as it can.
        for entry in sorted(able, key=lambda entry: entry is not self.entry):
            profile = calls.serving(entry.profiles, call)
            if profile is not None:
                return entry, profile
        check = calls.advice(call, self.checkpoint.architecture, self.checkpoint.id)
        why = calls.outside([profile for entry in able for profile in entry.profiles], call)
        raise HandOver(f"{why}. PyTorch computes it; `{check}` says what to build")

    def _usable(self):
        """The engines that can be used here, in the daemon's order."""
        entries, obstacles = [], []
        here = machine.here()
        for entry in self.checkpoint.engines:
            error = self.place.proofs.error(entry.id, self.checkpoint.unet)
            if error is not None and not proofs.holds(error):
                why = f"it was {error:.1e} off PyTorch's results"
            else:
                why = self.failed.get(entry.id) or machine.obstacle(entry, here)
            if why is None:
                entries.append(entry)
            else:
                obstacles.append(f"engine {entry.id[:12]} is not used: {why}")
        if not entries:
            raise HandOver("; ".join(obstacles) or "this checkpoint has no engine")
        return entries

    def _load(self, entry):
        if entry is self.entry:
            return
        self.deactivate()
        start = time.monotonic()
        self.entry = entry
        cache = self.place.cache(entry.id)
        self.engine, self.refit = load(entry, cache, self._file(), self.host.read_state_dict)
        seconds = time.monotonic() - start
        self.host.say(f"engine {entry.id[:12]} for {self.path} loaded in {seconds:.1f} s")

    def _file(self):
        """Where the checkpoint lies now."""
        places = [*self.checkpoint.locations, self.path]
        return next((place for place in places if self.host.exists(place)), self.path)

    def _is_proven(self, entry):
        return entry.proven or self.place.proofs.error(entry.id, self.checkpoint.unet) is not None

    def _prove(self, entry, latent, inputs):
        """Computes the call with PyTorch too, and keeps how far they are apart. Returns the result
        to go on with."""
        approximation = self.host.approximation()
        if approximation is not None:
            self.provable = False
            self._say(f"the engine is not compared with PyTorch: {approximation}; tried at the next job")
            return latent
        arguments = dict(inputs)
        x, timesteps, context = (
            arguments.pop(name) for name in ("sample", "timesteps", "encoder_hidden_states")
        )
        try:
            expected = self.host.torch_forward(x, timesteps, context, **arguments)
            error = relative_error(latent, expected)
        except RuntimeError as problem:
            # torch's OutOfMemoryError is one, and its message says so.
            if "out of memory" not in str(problem):
                raise
            self.provable = False
            self._say("the engine is not compared with PyTorch: memory is short; tried at the next job")
            return latent
        finally:
            self.host.rest()
        if not expected.isfinite().all():
            # PyTorch's own result is no measure.
            self.provable = False
            return latent
        shape = list(inputs["sample"].shape)
        try:
            about = machine.about() | {"shape": shape, "time": int(time.time())}
            self.place.proofs.record(entry.id, self.checkpoint.unet, error, about)
        except OSError as problem:
            self._say(f"the comparison with PyTorch could not be kept: {problem}")
        used = "and used" if proofs.holds(error) else f"past {proofs.BOUND:.0e}, and not used"
        self._say(f"engine {entry.id[:12]} is {error:.1e} off PyTorch, {used}")
        if proofs.holds(error):
            return latent
        self.failed[entry.id] = f"engine {entry.id[:12]} is not used: it was {error:.1e} off PyTorch"
        self.answers = {}
        self.deactivate()
        return expected

    def _give_up(self, error):
        """An engine that failed is not used for the rest of the job."""
        reason = str(error) or type(error).__name__
        if self.entry is not None:
            self.failed[self.entry.id] = f"engine {self.entry.id[:12]} failed: {reason}"
        self._say(f"the engine failed: {reason}. PyTorch computes instead")
        self.answers = {}
        self.entry = self.engine = self.refit = None

    def _say(self, line):
        """Once in a job, not once in a step."""
        if line not in self.said:
            self.said.add(line)
            self.host.say(line)


def load(entry, cache, checkpoint, read_state_dict):
    """An engine on the GPU, and what follows its weights if it is a shared one."""
    # Not before an engine fits: TensorRT-RTX may be missing, and then nothing else must fail.
    from .engine import Engine
    from .refit import Refit
    from .weights import Weights, open_checkpoint

    engine = Engine(entry.plan, cache)
    if not entry.is_shared:
        return engine, None
    tensors = open_checkpoint(checkpoint, read_state_dict)
    return engine, Refit(engine.engine, Weights(tensors, entry.constants))


def relative_error(found, expected):
    """‖found − expected‖ / ‖expected‖, which is NaN where anything is. Waits for the GPU."""
    found, expected = found.float(), expected.float()
    return ((found - expected).norm() / expected.norm()).item()
