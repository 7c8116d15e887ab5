"""Everything on the GPU: the loaded engines, the weights that they read, and memory for activations."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from . import binding, index, machine, sample
from .engines import Engines
from .place import Place

if TYPE_CHECKING:
    import torch

    from .engine import Lent
    from .engines import Loaded
    from .packed import Packed, Read
    from .signature import Places
    from .weights import Weights

# Nothing that needs torch is imported before an engine fits: if TensorRT-RTX is missing, nothing else may fail.


# What is left of engines whose CUDA context was lost.
LOST: list[object] = []


class Gpu:
    """`place` stores the compiled kernels, `say` prints a line for the user."""

    def __init__(self, place: Place, say: Callable[[str], None]) -> None:
        self._place, self._say = place, say
        # None before the first call.
        self._working: tuple[Engines, Weights, Packed] | None = None
        # Loads an engine that will be needed.
        self._ahead: Thread | None = None

    def sample(self, places: Places) -> str:
        """Of a UNet's weights as they are now."""
        return sample.sample(places)

    def load_ahead(self, choose: Callable[[], index.Engine | None]) -> None:
        """Starts to load the engine that `choose` returns, on CUDA's current GPU, and does not wait for it. What fails
        will fail again when the engine is to serve, and is said then."""
        if self._ahead is not None and self._ahead.is_alive():
            return

        def load(number: int | None) -> None:
            with suppress(Exception), machine.on(number):
                entry = choose()
                if entry is not None:
                    engines, _, _ = self._start()
                    engines.get(entry)

        self._ahead = Thread(target=load, args=(machine.current(),), name="sdtrt loads ahead", daemon=True)
        self._ahead.start()

    def _await(self) -> None:
        """Waits for the engine that is being loaded: they are in nobody's hands meanwhile."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.join()

    def serve(
        self,
        entry: index.Engine,
        profile: int,
        inputs: dict[str, torch.Tensor],
        read: Read,
    ) -> torch.Tensor:
        """Returns the latent that an engine computes with a UNet's weights. Raises Unfit if it can't read them, and
        then reads none."""
        self._await()
        engines, weights, packed = self._start()
        engine, table = engines.get(entry)
        if inputs.keys() != engine.inputs:
            raise binding.Unfit(f"the engine's inputs {', '.join(sorted(engine.inputs))} differ from the model's")
        addresses = None
        if table:
            try:
                if read.source is None:
                    packed.release()
                    addresses = weights.follow(read.unet, read.places, table, read.fresh)
                else:
                    weights.release()
                    addresses = packed.follow(read.unet, read.source, table, read.fresh)
            except binding.OutOfMemory:
                engines.drop()
                raise
        return engine(profile, inputs, addresses)

    def _start(self) -> tuple[Engines, Weights, Packed]:
        if self._working is None:
            from .engine import Lent
            from .packed import Packed
            from .weights import Weights

            self._working = Engines(self._load, Lent(), self._say), Weights(), Packed()
        return self._working

    def _load(self, entry: index.Engine, lent: Lent) -> Loaded:
        """Returns an engine and its weight inputs; none for a baked one."""
        from .engine import Engine

        table = binding.read(entry.manifest) if entry.is_shared else ()
        cache = self._place.cache(entry.id, machine.here())
        names = {each.name for each in table}
        return Engine(entry.plan, cache, lent, names), table

    def restore(self, unet: torch.nn.Module) -> None:
        """Restores the layout of a UNet's weights, for PyTorch."""
        if self._working:
            _, weights, _ = self._working
            weights.restore(unet)

    def restore_all(self) -> None:
        """Restores the layout of all weights that engines have read."""
        if self._working:
            _, weights, _ = self._working
            weights.restore_all()

    def rest(self) -> None:
        """Stops reading weights, and frees the memory that matters. That is nothing of an engine that is being loaded,
        for which this does not wait."""
        if self._working:
            engines, weights, packed = self._working
            weights.release()
            packed.release()
            engines.rest()

    def drop(self) -> None:
        """After an error: stops reading weights, and unloads all engines."""
        self._await()
        if self._working and machine.is_lost():
            # Whatever is destroyed now ends the process. Kept for good: nobody can use this GPU any more.
            LOST.append(self._working)
            self._working = None
        if self._working:
            engines, weights, packed = self._working
            engines.drop()
            weights.release()
            packed.release()

    def save(self) -> None:
        """Saves the compiled kernels."""
        self._await()
        if self._working:
            engines, _, _ = self._working
            engines.save()
