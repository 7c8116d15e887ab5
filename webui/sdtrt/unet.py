"""The UNet that the web UI calls instead of its own."""
from __future__ import annotations

import time
from contextlib import contextmanager
from functools import wraps

from . import calls, loras, machine, proofs
from .binding import Unfit
from .choosing import Chooser, HandOver, failed
from .index import Speed
from .look import Look, is_finite
from .shapes import Shapes
from .signature import Looks
from .subject import Subject
from .unusable import Size
from .watch import Repeat, Served


def on_its_gpu(method):
    """Has the web UI's GPU as CUDA's current one meanwhile."""

    @wraps(method)
    def there(self, *args, **kwargs):
        with machine.on(self.host.gpu()):
            return method(self, *args, **kwargs)

    return there


class Unet:
    """Computes whatever model is loaded by the engines that fit it. What they can't do, PyTorch does.

    `catalogue` is what the daemon has, `place` where things are kept, `gpu` what works there, and `host` the
    module a1111."""

    def __init__(self, catalogue, place, gpu, host):
        self.catalogue, self.gpu, self.host = catalogue, gpu, host
        self.looks, self.shapes = Looks(), Shapes()
        self.chooser = Chooser(place)
        # Of a pass that can be computed anew, whose results are looked at one call later.
        self.watch = None
        self.start_job()

    def start_job(self):
        """What did not work is tried once more, and said once more."""
        self.chooser.failed = {}
        self.said = set()
        # Sizes that engines failed at in a pass that was then computed anew, by UNet and variant, with what to say.
        self.barred = {}
        self.provable = True
        self.start_pass()

    def start_pass(self):
        """What came before may have changed the web UI's own UNet, or moved it."""
        self.subject = None
        self.looked_inside = False
        self.altered = None

    @on_its_gpu
    def activate(self):
        """Has the web UI's UNet where engines read it; which of them is loaded, the first call decides. Never
        raises."""
        self.start_pass()
        self._try(self.host.wake_for_later)

    @on_its_gpu
    def deactivate(self):
        """Leaves the web UI's UNet as it was, and gives memory back. Never raises."""
        self.subject = None
        self._try(self.gpu.rest)

    @on_its_gpu
    def step_aside(self):
        """Has the web UI's own UNet as it was for an extension that works inside of it."""
        self._say(f"{self.host.obstacle()}; PyTorch computes")
        self.subject = None
        self._try(self.gpu.rest)
        self._try(self.host.wake_for_later)

    @on_its_gpu
    def end_job(self):
        """Keeps the kernels that were compiled, and tells the shapes of the job. Never raises."""
        self._try(self.gpu.save)
        return self.shapes.take()

    @on_its_gpu
    def put_away(self):
        """Has nothing loaded while the web UI computes without. Never raises."""
        self._try(self.gpu.save)
        self._try(self.gpu.drop)

    @on_its_gpu
    def limits(self, checkpoint, engines):
        """The size from which on each of these engines, by id, does not serve a checkpoint's weights here."""
        gpu, driver = machine.here().gpu, machine.driver()
        least = lambda engine: self.chooser.place.unusable.least(engine.id, checkpoint.unet, None, gpu, driver)
        return {engine.id: size for engine in engines if (size := least(engine)) is not None}

    @on_its_gpu
    def forward(self, x, timesteps, context, *args, **kwargs):
        """x [batch, channels, height, width], timesteps [batch], context [batch, tokens, width], and y
        [batch, width] where the model has it. Returns [batch, 4, height, width]."""
        self.entry = self.barrier = None
        try:
            self._look_back()
            return self._forward(x, timesteps, context, *args, **kwargs)
        except HandOver as why:
            self._say(str(why))
        except Unfit as why:
            # Found out before any engine has read a weight.
            self.subject.unfit = f"{why}; PyTorch computes it"
            self._say(self.subject.unfit)
            self._try(self.host.wake)
        except Exception as error:
            self._give_up(error)
        latent = self._torch_forward(x, timesteps, context, *args, **kwargs)
        if self.barrier is not None:
            self._look_later(x, latent, None, *self.barrier)
        return latent

    @contextmanager
    def watched(self, watch):
        """A pass whose results are looked at one call later: then Repeat may come out of it, and it is to be computed
        anew. Without `watch` they are looked at, at once."""
        before, self.watch = self.watch, watch
        try:
            yield
        except Exception:
            # The web UI may have seen NaN itself.
            self._end_watch()
            raise
        else:
            self._end_watch()
        finally:
            self.watch = before

    def _torch_forward(self, *args, **kwargs):
        self.gpu.restore(self.host.torch_unet())
        return self.host.torch_forward(*args, **kwargs)

    def _forward(self, x, timesteps, context, y=None, **others):
        obstacle = self.host.obstacle() or self._inside()
        if obstacle is None and getattr(context, "requires_grad", False):
            obstacle = "the text is trained"
        if obstacle is not None or others:
            why = obstacle or f"{', '.join(others)} came with the call"
            raise HandOver(f"{why}, which engines don't know; PyTorch computes it")
        unet = self.host.torch_unet()
        subject = self._look(unet)
        call = calls.Call.of(x.shape, context.shape)
        entry, profile = self._serving(subject, call)
        inputs = {"sample": x, "timesteps": timesteps, "encoder_hidden_states": context}
        if y is not None:
            inputs["y"] = y
        self.entry = entry
        latent = self.gpu.serve(entry, profile, inputs, unet, self.looks.places(unet), subject.fresh)
        subject.fresh = False
        is_known = self.chooser.is_proven(entry, subject) and self.chooser.is_measured(entry, subject, call)
        if self.watch is not None and (is_known or not self.provable):
            self._look_later(x, latent, entry, subject, call)
            return latent
        if not is_finite(latent):
            return self._catch(entry, subject, call, inputs)
        if self.provable and not is_known:
            return self._prove(entry, subject, call, latent, inputs)
        return latent

    def _look_later(self, x, latent, entry, subject, call):
        watch = self.watch
        watch.last = Served(entry, subject, call, watch.calls), Look(x, latent)

    def _look_back(self):
        """Looks at the call before this one, of which the GPU has been told long enough ago."""
        watch = self.watch
        if watch is None:
            return
        last, watch.last = watch.last, None
        watch.calls += 1
        if last is None:
            return
        served, look = last
        self.entry = served.entry
        known, good = look.read()
        self.entry = None
        if served.entry is None:
            watch.in_torch, watch.torch_is_finite = served.number, watch.torch_is_finite and good
        elif not good and known:
            self._bar(served)
            raise Repeat((*watch.found, served))
        elif not good:
            self._say(f"{no_better(served.entry, served.call)} of inputs that have some")

    def _bar(self, served):
        """Has PyTorch compute what is as large, until that is known to be right or the job is over."""
        entry, subject, call, _ = served
        line = (
            f"engine {entry.id[:12]} gave NaN or infinity at {call.width}×{call.height}; the pass is computed once "
            "more, and by PyTorch from this size on"
        )
        self._say(line)
        self.barred[subject.id, subject.variant] = call, line

    def _end_watch(self):
        """Looks at the last call. What PyTorch could compute where an engine could not is marked."""
        watch = self.watch
        if watch is None:
            return
        self._look_back()
        for entry, subject, call, number in watch.found:
            # The pass may have been interrupted before, or memory was short.
            if number > watch.in_torch:
                continue
            if watch.torch_is_finite:
                self.barred.pop((subject.id, subject.variant), None)
                self._mark(entry, subject, call)
            else:
                self._say(f"{no_better(entry, call)} as PyTorch does")

    def _inside(self):
        """What another extension does inside of the web UI's UNet in this pass, for people."""
        if not self.looked_inside:
            self.looked_inside, self.altered = True, self.host.altered()
        return self.altered and f"another extension works at {self.altered} of the UNet"

    def _look(self, unet):
        """The UNet that is loaded now, with the LoRAs that are on in its weights."""
        networks = self.host.networks()
        state = loras.state(networks)
        subject = self.subject
        if subject is not None and subject.unet() is unet and subject.networks == state:
            return subject
        subject = Subject(unet, state)
        # Before a LoRA can add anything.
        self.looks.signature(unet)
        try:
            if not self.host.is_awake():
                self.host.wake()
            self.host.apply_networks()
        except Exception as error:
            raise HandOver(f"the UNet can't be made ready: {error}; PyTorch computes it") from error
        subject.signature, subject.new = self.looks.at(unet)
        subject.checkpoint = self.catalogue.checkpoint(self.host.loaded_path())
        subject.with_loras = loras.touch_unet(networks)
        self.subject = subject
        return subject

    def _serving(self, subject, call):
        """The engine and the optimization profile for a call."""
        index = self.catalogue.index
        if subject.signature in index.signatures:
            self.shapes.note(subject.signature, call)
        barred, line = self.barred.get((subject.id, subject.variant), (None, None))
        if barred is not None and barred.width * barred.height <= call.width * call.height:
            self.barrier = (subject, call) if self.watch is not None else None
            raise HandOver(line)
        if call not in subject.answers:
            subject.answers[call] = self.chooser.choose(index, subject, call)
        if subject.unfit is not None:
            raise HandOver(subject.unfit)
        return subject.answers[call]

    def _catch(self, entry, subject, call, inputs):
        """PyTorch's result of a call that an engine gave numbers for that are not all finite. If PyTorch's are, the
        engine does not serve this size any more."""
        # Waits for each, which only such a call does. Numbers of steps may be integers.
        known = all(is_finite(tensor.float()) for tensor in inputs.values())
        latent = self._in_torch(inputs)
        if known and is_finite(latent):
            self._mark(entry, subject, call)
        else:
            too = "as PyTorch does" if known else "of inputs that have some"
            self._say(f"{no_better(entry, call)} {too}; PyTorch computes it")
        return latent

    def _mark(self, entry, subject, call):
        """Has an engine not serve a size with these weights, on GPUs like this one with its driver."""
        size = Size(machine.here().gpu, machine.driver(), *call, int(time.time()))
        self._say(failed(entry, call, size))
        # Another engine may take it.
        subject.answers.clear()
        try:
            self.chooser.place.unusable.add(entry.id, subject.id, subject.variant, size)
        except OSError as problem:
            self._say(f"what the engine can't compute could not be kept, and will be found out again: {problem}")

    def _in_torch(self, inputs):
        """A call that was meant for an engine, by PyTorch."""
        others = dict(inputs)
        first = [others.pop(name) for name in ("sample", "timesteps", "encoder_hidden_states")]
        return self._torch_forward(*first, **others)

    def _prove(self, entry, subject, call, latent, inputs):
        """Computes the call with PyTorch too, and keeps how far they are apart and what PyTorch took. Returns the
        result to go on with."""
        approximation = self.host.approximation(from_file=not entry.is_shared)
        if approximation is not None:
            self.provable = False
            self._say(f"the engine is not compared with PyTorch: {approximation}; tried at the next job")
            return latent
        run = lambda: self._in_torch(inputs)
        try:
            expected = run()
            error = relative_error(latent, expected)
            # Once more, as the first call is no measure of time.
            milliseconds = machine.milliseconds(run)
        except RuntimeError as problem:
            # torch's OutOfMemoryError is one, and its message says so.
            if "out of memory" not in str(problem):
                raise
            self.provable = False
            self._say("the engine is not compared with PyTorch: memory is short; tried at the next job")
            return latent
        if not is_finite(expected):
            # PyTorch's own result is no measure.
            self.provable = False
            return latent
        self._record(entry, subject, call, list(inputs["sample"].shape), error, milliseconds)
        if proofs.holds(error):
            return latent
        self.chooser.failed[entry.id] = f"it was {error:.1e} off PyTorch"
        subject.answers.clear()
        return expected

    def _record(self, entry, subject, call, shape, error, milliseconds):
        about = machine.about()
        self.chooser.torch_speeds.append(Speed(about["gpu"], *call, milliseconds))
        # Whether it is faster can be told from now on.
        subject.answers.clear()
        more = {"shape": shape, "tokens": call.tokens, "torch_milliseconds": milliseconds, "time": int(time.time())}
        try:
            self.chooser.place.proofs.record(entry.id, subject.id, error, about | more)
        except OSError as problem:
            self._say(f"the comparison with PyTorch could not be kept: {problem}")
        used = "and used" if proofs.holds(error) else f"past {proofs.BOUND:.0e}, and not used"
        self._say(f"engine {entry.id[:12]} is {error:.1e} off PyTorch, {used}")

    def _give_up(self, error):
        """An engine that failed is not used for the rest of the job, and nothing of it stays."""
        reason = str(error) or type(error).__name__
        if self.entry is not None:
            self.chooser.failed[self.entry.id] = f"it failed: {reason}"
        self._say(f"the engine failed: {reason}. PyTorch computes instead")
        self.subject = None
        self._try(self.gpu.drop)

    def _try(self, do):
        try:
            do()
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}")

    def _say(self, line):
        """Once in a job, not once in a step."""
        if line not in self.said:
            self.said.add(line)
            self.host.say(line)


def no_better(entry, call):
    """That an engine is not to blame, for people, but for why."""
    return f"{call}: engine {entry.id[:12]} gave NaN or infinity,"


def relative_error(found, expected):
    """‖found − expected‖ / ‖expected‖, which is NaN where anything is. Waits for the GPU."""
    found, expected = found.float(), expected.float()
    return ((found - expected).norm() / expected.norm()).item()
