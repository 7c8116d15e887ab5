"""The UNet that the web UI calls instead of its own."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import calls, loras, machine
from .binding import Unfit
from .calls import Call
from .choosing import Chooser, HandOver, failed
from .gpu import Gpu
from .host import Host, on_its_gpu
from .index import Checkpoint, Engine
from .look import Look, is_finite
from .loras import State
from .options import Catalogue
from .place import Place
from .proving import Prover
from .shapes import Shape, Shapes
from .signature import Looks
from .subject import Subject
from .unusable import Size
from .watch import Repeat, Served, Watch

if TYPE_CHECKING:
    import torch

    Inputs = dict[str, torch.Tensor]


class Unet:
    """Computes whatever model is loaded by the engines that fit it. What they can't do, PyTorch does.

    `catalogue` is what the daemon has, `place` where things are kept, `gpu` what works there, and `host` the
    module a1111."""

    def __init__(self, catalogue: Catalogue, place: Place, gpu: Gpu, host: Host) -> None:
        self.catalogue, self.gpu, self.host = catalogue, gpu, host
        self.looks, self.shapes = Looks(), Shapes()
        self.chooser = Chooser(place)
        # Of a pass that can be computed anew, whose results are looked at one call later.
        self.watch: Watch | None = None
        # What serves the call that is computed, and where it is PyTorch instead of an engine that has failed.
        self.entry: Engine | None = None
        self.barrier: tuple[Subject, Call] | None = None
        self.prover = Prover(catalogue, self.chooser, host, self._say)
        self.start_job()

    def start_job(self) -> None:
        """What did not work is tried once more, and said once more."""
        self.chooser.failed = {}
        self.said: set[str] = set()
        # Sizes that engines failed at in a pass that was then computed anew, by UNet and variant, with what to say.
        self.barred: dict[tuple[str, State | None], tuple[Call, str]] = {}
        self.prover.start_job()
        self.start_pass()

    def start_pass(self) -> None:
        """What came before may have changed the web UI's own UNet, or moved it."""
        self.subject: Subject | None = None
        self.looked_inside = False
        self.altered: str | None = None

    @on_its_gpu
    def activate(self) -> None:
        """Has the web UI's UNet where engines read it; which of them is loaded, the first call decides. Never
        raises."""
        self.start_pass()
        self._try(self.host.wake_for_later)

    @on_its_gpu
    def deactivate(self) -> None:
        """Leaves the web UI's UNet as it was, and gives memory back. Never raises."""
        self.subject = None
        self._try(self.gpu.rest)

    @on_its_gpu
    def step_aside(self) -> None:
        """Has the web UI's own UNet as it was for an extension that works inside of it."""
        self._say(f"{self.host.obstacle()}; PyTorch computes")
        self.subject = None
        self._try(self.gpu.rest)
        self._try(self.host.wake_for_later)

    @on_its_gpu
    def end_job(self) -> dict[str, list[Shape]]:
        """Keeps the kernels that were compiled, and tells the shapes of the job. Never raises."""
        self._try(self.gpu.save)
        return self.shapes.take()

    @on_its_gpu
    def put_away(self) -> None:
        """Has nothing loaded while the web UI computes without. Never raises."""
        self._try(self.gpu.save)
        self._try(self.gpu.drop)

    @on_its_gpu
    def limits(self, checkpoint: Checkpoint, engines: tuple[Engine, ...]) -> dict[str, Size]:
        """The size from which on each of these engines, by id, does not serve a checkpoint's weights here."""
        gpu, driver = machine.here().gpu, machine.driver()
        least = lambda engine: self.chooser.place.unusable.least(engine.id, checkpoint.unet, None, gpu, driver)
        return {engine.id: size for engine in engines if (size := least(engine)) is not None}

    @on_its_gpu
    def forward(
        self, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
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
            line = f"{why}; PyTorch computes it"
            if self.subject is not None:
                self.subject.unfit = line
            self._say(line)
            self._try(self.host.wake)
        except Exception as error:
            self._give_up(error)
        latent = self._torch_forward(x, timesteps, context, *args, **kwargs)
        if self.watch is not None and self.barrier is not None:
            self._look_later(self.watch, x, latent, None, *self.barrier)
        return latent

    @contextmanager
    def watched(self, watch: Watch | None) -> Iterator[None]:
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

    def _torch_forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.gpu.restore(self.host.torch_unet())
        return self.host.torch_forward(*args, **kwargs)

    def _forward(
        self,
        x: torch.Tensor,
        timesteps: torch.Tensor,
        context: torch.Tensor,
        y: torch.Tensor | None = None,
        **others: Any,
    ) -> torch.Tensor:
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
        if self.watch is not None and (is_known or not self.prover.is_on):
            self._look_later(self.watch, x, latent, entry, subject, call)
            return latent
        if not is_finite(latent):
            return self._catch(entry, subject, call, inputs)
        if self.prover.is_on and not is_known:
            return self.prover.prove(entry, subject, call, latent, inputs, self._in_torch)
        return latent

    def _look_later(
        self,
        watch: Watch,
        x: torch.Tensor,
        latent: torch.Tensor,
        entry: Engine | None,
        subject: Subject,
        call: Call,
    ) -> None:
        watch.last = Served(entry, subject, call, watch.calls), Look(x, latent)

    def _look_back(self) -> None:
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
            self._bar(served.entry, served.subject, served.call)
            raise Repeat((*watch.found, served))
        elif not good:
            self._say(f"{no_better(served.entry, served.call)} of inputs that have some")

    def _bar(self, entry: Engine, subject: Subject, call: Call) -> None:
        """Has PyTorch compute what is as large, until that is known to be right or the job is over."""
        line = (
            f"engine {entry.id[:12]} gave NaN or infinity at {call.width}×{call.height}; the pass is computed once "
            "more, and by PyTorch from this size on"
        )
        self._say(line)
        self.barred[subject.id, subject.variant] = call, line

    def _end_watch(self) -> None:
        """Looks at the last call. What PyTorch could compute where an engine could not is marked."""
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

    def _inside(self) -> str | None:
        """What another extension does inside of the web UI's UNet in this pass, for people."""
        if not self.looked_inside:
            self.looked_inside, self.altered = True, self.host.altered()
        return f"another extension works at {self.altered} of the UNet" if self.altered else None

    def _look(self, unet: torch.nn.Module) -> Subject:
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
        places = self.looks.places(unet)
        subject.take_sample = lambda: self.gpu.sample(places)
        self.subject = subject
        return subject

    def _serving(self, subject: Subject, call: Call) -> tuple[Engine, int]:
        """The engine and the optimization profile for a call."""
        index = self.catalogue.index
        if subject.signature in index.signatures:
            self.shapes.note(subject.signature, call)
        barred = self.barred.get((subject.id, subject.variant))
        if barred is not None and barred[0].width * barred[0].height <= call.width * call.height:
            self.barrier = subject, call
            raise HandOver(barred[1])
        if call not in subject.answers:
            subject.answers[call] = self.chooser.choose(index, subject, call)
        if subject.unfit is not None:
            raise HandOver(subject.unfit)
        return subject.answers[call]

    def _catch(self, entry: Engine, subject: Subject, call: Call, inputs: Inputs) -> torch.Tensor:
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

    def _mark(self, entry: Engine, subject: Subject, call: Call) -> None:
        """Has an engine not serve a size with these weights, on GPUs like this one with its driver."""
        size = Size(machine.here().gpu or "", machine.driver(), *call, int(time.time()))
        self._say(failed(entry, call, size))
        # Another engine may take it.
        subject.answers.clear()
        try:
            self.chooser.place.unusable.add(entry.id, subject.id, subject.variant, size)
        except OSError as problem:
            self._say(f"what the engine can't compute could not be kept, and will be found out again: {problem}")

    def _in_torch(self, inputs: Inputs) -> torch.Tensor:
        """A call that was meant for an engine, by PyTorch."""
        others = dict(inputs)
        first = [others.pop(name) for name in ("sample", "timesteps", "encoder_hidden_states")]
        return self._torch_forward(*first, **others)

    def _give_up(self, error: Exception) -> None:
        """An engine that failed is not used for the rest of the job, and nothing of it stays."""
        reason = str(error) or type(error).__name__
        if self.entry is not None:
            self.chooser.failed[self.entry.id] = f"it failed: {reason}"
        self._say(f"the engine failed: {reason}. PyTorch computes instead")
        self.subject = None
        self._try(self.gpu.drop)

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}")

    def _say(self, line: str) -> None:
        """Once in a job, not once in a step."""
        if line not in self.said:
            self.said.add(line)
            self.host.say(line)


def no_better(entry: Engine, call: Call) -> str:
    """That an engine is not to blame, for people, but for why."""
    return f"{call}: engine {entry.id[:12]} gave NaN or infinity,"
