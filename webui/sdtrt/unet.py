"""The UNet that the web UI calls instead of its own."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import calls, machine
from .binding import Unfit
from .calls import Call
from .choosing import Chooser, HandOver, failed, no_better, unsupported, unused
from .gpu import Gpu
from .host import Host, on_its_gpu
from .index import Engine
from .look import is_finite
from .loras import State
from .measuring import Measurer, surroundings
from .options import Catalogue
from .packed import Read
from .place import Place
from .proving import Prover
from .residuals import Misfit, Residuals, gathered, parted
from .shapes import Shape, Shapes
from .signature import Looks
from .subject import Subject
from .tally import Tally
from .unusable import Size
from .watch import Repeat, Watch

if TYPE_CHECKING:
    import torch

    Inputs = dict[str, torch.Tensor]


class Unet:
    """Computes whatever model is loaded with the engines that fit it; what they can't compute, PyTorch does.

    `catalogue` is what the daemon has, `place` where files are stored, `gpu` everything on the GPU, and `host` the
    module a1111."""

    def __init__(self, catalogue: Catalogue, place: Place, gpu: Gpu, host: Host) -> None:
        self.catalogue, self.gpu, self.host = catalogue, gpu, host
        self.looks, self.shapes = Looks(), Shapes()
        self.chooser = Chooser(place, lambda: surroundings(host))
        # Set during a pass that can be repeated, whose outputs are checked one call later.
        self.watch: Watch | None = None
        # The engine for the current call, and whether PyTorch computes in place of an engine that has failed.
        self.entry: Engine | None = None
        self.barrier: tuple[Subject, Call] | None = None
        self.prover = Prover(catalogue, self.chooser, host, self._say)
        self.measurer = Measurer(self.chooser, host, self._say)
        self.tally = Tally()
        self.start_job()

    def start_job(self) -> None:
        """Forgets failures and messages of the last job."""
        self.chooser.failed = {}
        self.said: set[str] = set()
        # Sizes at which engines failed in a pass that was then repeated, by UNet and variant, with the message.
        self.barred: dict[tuple[str, State | None], tuple[Call, str]] = {}
        self.prover.start_job()
        self.measurer.start_job()
        self.tally.start_job()
        self.start_pass()

    def start_pass(self) -> None:
        """Forgets the UNet: it may have been changed or moved since."""
        self.tally.start_pass()
        self.subject: Subject | None = None
        self.looked_inside = False
        self.altered: str | None = None

    @on_its_gpu
    def activate(self) -> None:
        """Prepares the web UI's UNet for engines; the first call decides which are loaded. Never raises."""
        self.start_pass()
        self._try(self.host.wake_for_later)

    @on_its_gpu
    def deactivate(self) -> None:
        """Restores the web UI's UNet, and frees memory. Never raises."""
        self.subject = None
        self._try(self.gpu.rest)

    @on_its_gpu
    def step_aside(self, line: str | None = None) -> None:
        """Restores the web UI's own UNet for an extension that works inside it; `line` says why."""
        self._say(line or unsupported(self.host.obstacle()))
        self.tally.stop()
        self.subject = None
        self._try(self.gpu.rest)
        self._try(self.host.wake_for_later)

    @on_its_gpu
    def end_job(self, restores: bool = False) -> dict[str, list[Shape]]:
        """Says what the engines did, saves the compiled kernels, and returns the job's shapes. If PyTorch may compute
        next without asking us, it `restores` the layout of the weights. Never raises."""
        self._try(lambda: self._say(self.tally.line(self.chooser.gain)))
        self._try(self.gpu.save)
        if restores:
            self._try(self.gpu.restore_all)
        return self.shapes.take()

    @on_its_gpu
    def leave_to_torch(self) -> None:
        """Restores the layout of the weights: PyTorch computes without asking us. Never raises."""
        self._try(self.gpu.restore_all)

    @on_its_gpu
    def put_away(self) -> None:
        """Unloads everything while the web UI computes without engines. Never raises."""
        self._try(self.gpu.save)
        self._try(self.gpu.drop)

    @on_its_gpu
    def forward(
        self, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """x [batch, channels, height, width], timesteps [batch], context [batch, tokens, width], y [batch, width] if
        the model has it, and `residuals` if ControlNets add any. Returns [batch, 4, height, width]."""
        self.entry = self.barrier = None
        try:
            self._look_back()
            return self._forward(x, timesteps, context, *args, **kwargs)
        except (HandOver, Misfit) as why:
            self._say(str(why))
        except Unfit as why:
            # Found out before any engine has read a weight.
            line = f"{why}; PyTorch computes it"
            if self.subject is not None:
                self.subject.unfit = line
            self._say(line)
            self._try(self.host.wake)
        except Exception as error:
            self._give_up(error)
        self.tally.stop()
        latent = self._torch_forward(x, timesteps, context, *args, **kwargs)
        watch, barrier = self.watch, self.barrier
        if watch is not None and barrier is not None:
            self._try(lambda: watch.later(x, latent, None, *barrier))
        return latent

    @contextmanager
    def watched(self, watch: Watch | None) -> Iterator[None]:
        """A pass whose outputs are checked one call later; it may raise Repeat, and must then be repeated. Without
        `watch` outputs are checked at once."""
        before, self.watch = self.watch, watch
        try:
            yield
        except Exception:
            # The web UI may have found the NaN itself.
            self._end_watch()
            raise
        else:
            self._end_watch()
        finally:
            self.watch = before

    def _torch_forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self._try(lambda: self.gpu.restore(self.host.torch_unet()))
        return self.host.torch_forward(*args, **kwargs)

    def _forward(
        self,
        x: torch.Tensor,
        timesteps: torch.Tensor,
        context: torch.Tensor,
        y: torch.Tensor | None = None,
        residuals: Residuals | None = None,
        **others: Any,
    ) -> torch.Tensor:
        obstacle = self.host.obstacle() or self.inside()
        if obstacle is None and getattr(context, "requires_grad", False):
            obstacle = "a textual inversion is being trained"
        if obstacle is not None or others:
            raise HandOver(unsupported(obstacle or f"{', '.join(others)} came with the call"))
        unet = self.host.torch_unet()
        subject = self._look(unet)
        call = calls.Call.of(x.shape, context.shape)
        entry, profile = self._serving(subject, call, residuals is not None)
        inputs = gathered(x, timesteps, context, y, residuals, lambda: self.looks.residuals(unet, x.shape))
        self.entry = entry
        start = time.perf_counter()
        weights = Read(unet, self.looks.places(unet), subject.fresh, self.host.source())
        latent = self.gpu.serve(entry, profile, inputs, weights)
        self.tally.note(entry, call, start)
        subject.fresh = False
        again = lambda: self.gpu.serve(entry, profile, inputs, weights._replace(fresh=False))
        if self.measurer.measure(entry, call, again, lambda: self._in_torch(inputs)):
            # PyTorch may now be known to be faster, and none of this was the sampler's.
            subject.answers.clear()
            self.tally.stop()
        is_known = self.chooser.is_proven(entry, subject)
        if self.watch is not None and (is_known or not self.prover.is_on):
            self.watch.later(x, latent, entry, subject, call)
            return latent
        if not is_finite(latent):
            return self._catch(entry, subject, call, inputs)
        if self.prover.is_on and not is_known:
            return self.prover.prove(entry, subject, call, latent, inputs, self._in_torch)
        return latent

    def _look_back(self) -> None:
        """Checks the previous call, which the GPU finished some time ago."""
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
            self._bar(served.entry, served.subject, served.call)
            raise Repeat((*watch.found, served))
        elif not good:
            self._say(f"{no_better(served.entry, served.call)} of inputs that have some")

    def _bar(self, entry: Engine, subject: Subject, call: Call) -> None:
        """Lets PyTorch compute sizes from this one on, until that is known to be right or the job ends."""
        line = (
            f"engine {entry.id[:12]} gave NaN or infinity at {call.width}×{call.height}; the pass is repeated, "
            "with PyTorch from this size on"
        )
        self._say(line)
        self.barred[subject.id, subject.variant] = call, line

    def _end_watch(self) -> None:
        """Checks the last call. Records what PyTorch could compute but an engine could not."""
        watch = self.watch
        if watch is None:
            return
        self._look_back()
        for entry, subject, call, number in watch.found:
            # The pass may have been interrupted before, or memory was short.
            if entry is None or number > watch.in_torch:
                continue
            if watch.torch_is_finite:
                self.barred.pop((subject.id, subject.variant), None)
                self._mark(entry, subject, call)
            else:
                self._say(f"{no_better(entry, call)} as PyTorch does")

    def inside(self) -> str | None:
        """Returns what another extension does inside the web UI's UNet, in words: what it has changed at the start
        of this pass, or replaced since."""
        if not self.looked_inside:
            self.looked_inside, self.altered = True, self.host.altered()
            return self.altered
        return self.altered or self.host.replaced()

    def _look(self, unet: torch.nn.Module) -> Subject:
        """Returns the loaded UNet, with the active LoRAs in its weights."""
        state = self.host.lora_state()
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
        subject.with_loras = self.host.loras_touch_unet()
        places = self.looks.places(unet)
        subject.take_sample = lambda: self.gpu.sample(places)
        self.subject = subject
        return subject

    def _serving(self, subject: Subject, call: Call, controlled: bool) -> tuple[Engine, int]:
        """Returns the engine and its profile for a call. One to which ControlNets add is no shape in use."""
        index = self.catalogue.index
        if subject.signature in index.signatures and not controlled:
            self.shapes.note(subject.signature, call)
        barred = self.barred.get((subject.id, subject.variant))
        if barred is not None and barred[0].width * barred[0].height <= call.width * call.height:
            self.barrier = subject, call
            raise HandOver(barred[1])
        if (call, controlled) not in subject.answers:
            subject.answers[call, controlled] = self.chooser.choose(index, subject, call, controlled)
        if subject.unfit is not None:
            raise HandOver(subject.unfit)
        return subject.answers[call, controlled]

    def _catch(self, entry: Engine, subject: Subject, call: Call, inputs: Inputs) -> torch.Tensor:
        """Returns PyTorch's result of a call for which an engine's was not finite. If PyTorch's is, the engine no
        longer serves this size."""
        # Waits for each, which only such a call does. Timesteps may be integers.
        known = all(is_finite(tensor.float()) for tensor in inputs.values())
        latent = self._in_torch(inputs)
        if known and is_finite(latent):
            self._mark(entry, subject, call)
        else:
            too = "as PyTorch does" if known else "of inputs that have some"
            self._say(f"{no_better(entry, call)} {too}; PyTorch computes it")
        return latent

    def _mark(self, entry: Engine, subject: Subject, call: Call) -> None:
        """Records that an engine does not serve a size with these weights, on this GPU model with this driver."""
        size = Size(machine.here().gpu or "", machine.driver(), *call, int(time.time()))
        self._say(failed(entry, call, size))
        # Another engine may serve the size.
        subject.answers.clear()
        try:
            self.chooser.place.unusable.add(entry.id, subject.id, subject.variant, size)
        except OSError as problem:
            self._say(f"the size at which the engine failed could not be saved, so it will be tried again: {problem}")

    def _in_torch(self, inputs: Inputs) -> torch.Tensor:
        """Computes a call that was meant for an engine with PyTorch."""
        first, others = parted(inputs)
        return self._torch_forward(*first, **others)

    def _give_up(self, error: Exception) -> None:
        """Stops using a failed engine for the rest of the job, and unloads everything."""
        reason = str(error) or type(error).__name__
        if self.entry is None:
            self._say(f"what comes before an engine failed: {reason}; PyTorch computes it")
        else:
            self.chooser.failed[self.entry.id] = f"it failed: {reason}"
            self._say(f"{unused({self.chooser.failed[self.entry.id]: [self.entry.id]})}; PyTorch computes it")
        self.subject = None
        self._try(self.gpu.drop)

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}")

    def _say(self, line: str) -> None:
        """Says a line once per job, not once per step."""
        if line and line not in self.said:
            self.said.add(line)
            self.host.say(line)
