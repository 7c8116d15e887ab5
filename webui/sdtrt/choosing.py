"""Chooses the engine that serves a call of the loaded UNet, or says why none does."""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import calls, machine, proofs, serving, timings
from .calls import Call
from .index import FASTEST, Checkpoint, Engine, Index
from .machine import Machine
from .place import Place
from .subject import Subject
from .timings import Timing
from .unusable import Size

# Said where ControlNets add something and no engine takes it.
NO_CONTROL = (
    "a ControlNet is active, and there is no engine for it (a preset with `controlnet = true` makes one, as soon as "
    "the machine is idle); PyTorch computes it"
)


class HandOver(Exception):
    """Why PyTorch computes a call; empty if that was said already."""


class Chooser:
    """Chooses by the index, by the files in `place`, and by what happened in this job. `surroundings` is what times
    depend on besides the call."""

    def __init__(self, place: Place, surroundings: Callable[[], dict[str, Any]]) -> None:
        self.place, self.surroundings = place, surroundings
        # Why engines are not used for the rest of the job, by engine id.
        self.failed: dict[str, str] = {}
        # The first digits of the one engine that a person has chosen; None if any will do.
        self.only: str | None = None

    def choose(self, index: Index, subject: Subject, call: Call, controlled: bool = False) -> tuple[Engine, int]:
        """Returns the engine and the optimization profile for a call, to which ControlNets add if it is `controlled`.
        Raises HandOver if PyTorch is to compute it."""
        # Before TensorRT-RTX is imported.
        self._fitting(index, subject, controlled)
        here = machine.here()
        usable = self._usable(index, subject, here, controlled)
        entries = [entry for entry in usable if self._failed_at(entry, subject, call, here) is None]
        best = serving.best(entries, call, here.gpu)
        if best is None:
            raise HandOver(self._nobody(index, subject, usable, call, here))
        if index.prefer == FASTEST:
            faster = [entry for entry in entries if not self._is_slower(entry, call)]
            likely, best = best, serving.best(faster, call, here.gpu)
            if best is None:
                timing = self.timing(likely.engine, call)
                assert timing is not None, "an engine that was not measured would have served the call"
                raise HandOver(f"{serving.slower(likely.engine, call, timing)}; PyTorch computes it")
        return best.engine, best.profile

    def likely(self, index: Index, checkpoint: Checkpoint, call: Call | None) -> Engine | None:
        """Returns the shared engine that will probably compute such calls of a checkpoint that is not loaded yet;
        without a `call`, those of the usual size. None if PyTorch will."""
        entries = index.shared(checkpoint.signature)
        # Before TensorRT-RTX is imported.
        if not entries:
            return None
        here = machine.here()
        usable = [entry for entry in entries if (self.failed.get(entry.id) or machine.obstacle(entry, here)) is None]
        wanted = call or next((Call.usual(entry.profiles[0]) for entry in usable if entry.profiles), None)
        if wanted is None:
            return None
        if index.prefer == FASTEST:
            usable = [entry for entry in usable if not self._is_slower(entry, wanted)]
        found = serving.best(usable, wanted, here.gpu)
        return found.engine if found else None

    def _usable(self, index: Index, subject: Subject, here: Machine, controlled: bool) -> list[Engine]:
        """Returns the engines that can be used here, in the daemon's order."""
        entries: list[Engine] = []
        obstacles: dict[str, list[str]] = {}
        for entry in self._fitting(index, subject, controlled):
            why = self._obstacle(index, entry, subject, here)
            if why is None:
                entries.append(entry)
            else:
                obstacles.setdefault(why, []).append(entry.id)
        if entries:
            return entries
        # What failed in this job was said then.
        news = {why: ids for why, ids in obstacles.items() if not self.failed.keys() >= set(ids)}
        raise HandOver(f"{unused(news)}; PyTorch computes it" if news else "")

    def _fitting(self, index: Index, subject: Subject, controlled: bool) -> list[Engine]:
        """Returns the engines for such a UNet, in the daemon's order. Raises HandOver if there are none."""
        shared = index.shared(subject.signature)
        baked = subject.checkpoint.engines if subject.checkpoint else ()
        if controlled:
            others, shared, baked = shared or baked, index.controlled(subject.signature), ()
            if others and not shared:
                raise HandOver(NO_CONTROL)
        entries = [*shared, *(() if subject.with_loras else baked)]
        if entries and (shared or not subject.new):
            return entries
        why = f"there is no engine for UNets of this signature, {subject.signature[:12]}"
        if subject.new:
            why = f"{subject.new[0]} was added to the UNet, by a LoRA, and engines have no such weight"
        elif baked:
            why = "LoRAs change the UNet, and this checkpoint has only engines with its own weights inside"
        raise HandOver(f"{why}; PyTorch computes it")

    def _obstacle(self, index: Index, entry: Engine, subject: Subject, here: Machine) -> str | None:
        """Returns why an engine can't be used, or None."""
        error = self.place.proofs.error(entry.id, subject.id)
        if error is not None and not proofs.holds(error, index.bound):
            return f"it was {error:.1e} off PyTorch's results"
        if self.only is not None and not entry.id.startswith(self.only):
            return f"engine {self.only} was chosen"
        return self.failed.get(entry.id) or machine.obstacle(entry, here) or strange(entry, subject)

    def _failed_at(self, entry: Engine, subject: Subject, call: Call, here: Machine) -> Size | None:
        """Returns the smallest size at which an engine failed with these weights, if the call is at least as
        large; or None."""
        size = self.place.unusable.least(entry.id, subject.id, subject.variant, here.gpu, machine.driver())
        return size if size is not None and size.pixels <= call.width * call.height else None

    def _nobody(self, index: Index, subject: Subject, entries: list[Engine], call: Call, here: Machine) -> str:
        """Returns why none of these engines serves a call, in words."""
        able = serving.best(entries, call, here.gpu)
        if able is None:
            takes = lambda entry: calls.serving(entry.profiles, call) is not None
            beyond = [entry for entry in entries if takes(entry) and serving.is_beyond(entry, call, here.gpu)]
            if beyond:
                return (
                    f"{call}: engine {beyond[0].id[:12]} gave NaN or infinity for images as large when it was "
                    "validated on such a GPU; PyTorch computes it"
                )
            return self._outside(index, subject, entries, call)
        size = self._failed_at(able.engine, subject, call, here)
        assert size is not None, "an engine that did not fail at it would have served the call"
        return failed(able.engine, call, size)

    def _outside(self, index: Index, subject: Subject, entries: list[Engine], call: Call) -> str:
        profiles = [profile for entry in entries for profile in entry.profiles]
        # The open engines' ranges say more than a list of single sizes.
        profiles = [profile for profile in profiles if not profile.is_fixed] or profiles
        checkpoint = subject.checkpoint
        known = checkpoint or index.signatures[subject.signature]
        check = calls.advice(call, known.architecture, checkpoint.reference if checkpoint else None)
        return f"{calls.outside(profiles, call)}. PyTorch computes it; `{check}` says what to build"

    def timing(self, entry: Engine, call: Call) -> Timing | None:
        """Returns how long this engine and PyTorch take for a similar call here, if that was measured and need not be
        again."""
        known, now = self.place.timings.of(entry.id, self.surroundings()), time.time()
        return timings.nearest([timing for timing in known if not timing.is_doubtful(now)], call)

    def _is_slower(self, entry: Engine, call: Call) -> bool:
        timing = self.timing(entry, call)
        return timing is not None and timing.is_slower

    def gain(self, entry: Engine, call: Call) -> float | None:
        """Returns how many times as fast as PyTorch an engine computes a call, if that was measured."""
        timing = self.timing(entry, call)
        return timing.gain if timing else None

    def is_proven(self, entry: Engine, subject: Subject) -> bool:
        """Whether it was compared with PyTorch with these weights: sdtrtd's validation used others."""
        return self.place.proofs.error(entry.id, subject.id) is not None


def unused(obstacles: Mapping[str, Sequence[str]]) -> str:
    """Says why engines are not used: each reason once, with the ids that it is for."""
    names = lambda ids: ("engines " if ids[1:] else "engine ") + ", ".join(each[:12] for each in ids)
    is_not = lambda ids: "are not used" if ids[1:] else "is not used"
    return "; ".join(f"{names(ids)} {is_not(ids)}: {why}" for why, ids in obstacles.items())


def strange(entry: Engine, subject: Subject) -> str | None:
    """Why the weights inside an engine are not, or may not be, those that are loaded, for people."""
    if entry.is_shared:
        return None
    if entry.sample is None:
        return "an older sdtrtd built it, and nothing tells whether its weights are those that are loaded"
    return None if entry.sample == subject.sample else "the weights inside are not those that are loaded"


def failed(entry: Engine, call: Call, size: Size) -> str:
    """Says that an engine does not serve a call because it failed at this size."""
    return (
        f"{call}: engine {entry.id[:12]} gave NaN or infinity at {size.width}×{size.height} with these weights, and "
        "PyTorch did not; PyTorch computes it"
    )


def unsupported(what: str | None) -> str:
    """Says what no engine includes."""
    return f"{what}, which engines don't support; PyTorch computes it"


def no_better(entry: Engine, call: Call) -> str:
    """Says that an engine is not to blame; the reason is appended."""
    return f"{call}: engine {entry.id[:12]} gave NaN or infinity,"
