"""What works on the GPU: the engines that are loaded, the weights that they read, and memory for activations."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import binding, index, machine, sample
from .engines import Engines
from .place import Place

if TYPE_CHECKING:
    import torch

    from .engine import Lent
    from .engines import Loaded
    from .signature import Places
    from .weights import Weights

# Nothing that needs torch is imported before an engine fits: TensorRT-RTX may be missing, and then nothing else
# must fail.


class Gpu:
    """`place` keeps the compiled kernels, `say` tells a person."""

    def __init__(self, place: Place, say: Callable[[str], None]) -> None:
        self._place, self._say = place, say
        # None before the first call.
        self._working: tuple[Engines, Weights] | None = None

    def sample(self, places: Places) -> str:
        """Of a UNet's weights as they are now."""
        return sample.sample(places)

    def serve(
        self,
        entry: index.Engine,
        profile: int,
        inputs: dict[str, torch.Tensor],
        unet: torch.nn.Module,
        places: Places,
        fresh: bool,
    ) -> torch.Tensor:
        """The latent that an engine makes of a UNet's weights, which are looked at in all detail where `fresh`.
        Raises Unfit where it can't read them, and then reads none."""
        engines, weights = self._start()
        engine, table = engines.get(entry)
        if inputs.keys() != engine.inputs:
            raise binding.Unfit(f"the engine takes {', '.join(sorted(engine.inputs))}, and the model has other inputs")
        addresses = None
        if table:
            try:
                addresses = weights.follow(unet, places, table, fresh)
            except binding.OutOfMemory:
                engines.drop()
                raise
        return engine(profile, inputs, addresses)

    def _start(self) -> tuple[Engines, Weights]:
        if self._working is None:
            from .engine import Lent
            from .weights import Weights

            self._working = Engines(self._load, Lent(), self._say), Weights()
        return self._working

    def _load(self, entry: index.Engine, lent: Lent) -> Loaded:
        """An engine, and the inputs that are its weights; none for one with weights of its own."""
        from .engine import Engine

        table = binding.read(entry.manifest) if entry.is_shared else ()
        cache = self._place.cache(entry.id, machine.here())
        names = {each.name for each in table}
        return Engine(entry.plan, cache, lent, names), table

    def restore(self, unet: torch.nn.Module) -> None:
        """Lays a UNet's weights out as they were, for PyTorch."""
        if self._working:
            _, weights = self._working
            weights.restore(unet)

    def rest(self) -> None:
        """Reads no weights any more, and gives back the memory that counts."""
        if self._working:
            engines, weights = self._working
            weights.release()
            engines.rest()

    def drop(self) -> None:
        """After an error: reads nothing, and has nothing loaded."""
        if self._working:
            engines, weights = self._working
            engines.drop()
            weights.release()

    def save(self) -> None:
        """Keeps the kernels that were compiled."""
        if self._working:
            engines, _ = self._working
            engines.save()
