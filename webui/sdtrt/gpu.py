"""What works on the GPU: the engines that are loaded, the weights that they read, and memory for activations."""
from __future__ import annotations

from . import binding, machine
from .engines import Engines

# Nothing that needs torch is imported before an engine fits: TensorRT-RTX may be missing, and then nothing else
# must fail.


class Gpu:
    """`place` keeps the compiled kernels, `say` tells a person."""

    def __init__(self, place, say):
        self._place, self._say = place, say
        self._engines = self._weights = None

    def serve(self, entry, profile, inputs, unet, places, fresh):
        """The latent that an engine makes of a UNet's weights, which are looked at in all detail where `fresh`.
        Raises Unfit where it can't read them, and then reads none."""
        self._start()
        engine, table = self._engines.get(entry)
        if inputs.keys() != engine.inputs:
            raise binding.Unfit(f"the engine takes {', '.join(sorted(engine.inputs))}, and the model has other inputs")
        addresses = None
        if table:
            try:
                addresses = self._weights.follow(unet, places, table, fresh)
            except binding.OutOfMemory:
                self._engines.drop()
                raise
        return engine(profile, inputs, addresses)

    def _start(self):
        if self._engines is None:
            from .engine import Lent
            from .weights import Weights

            self._engines, self._weights = Engines(self._load, Lent(), self._say), Weights()

    def _load(self, entry, lent):
        """An engine, and the inputs that are its weights; none for one with weights of its own."""
        from .engine import Engine

        table = binding.read(entry.manifest) if entry.is_shared else ()
        cache = self._place.cache(entry.id, machine.here())
        names = {each.name for each in table}
        return Engine(entry.plan, cache, lent, names), table

    def restore(self, unet):
        """Lays a UNet's weights out as they were, for PyTorch."""
        if self._weights:
            self._weights.restore(unet)

    def rest(self):
        """Reads no weights any more, and gives back the memory that counts."""
        if self._engines:
            self._weights.release()
            self._engines.rest()

    def drop(self):
        """After an error: reads nothing, and has nothing loaded."""
        if self._engines:
            self._engines.drop()
            self._weights.release()

    def save(self):
        """Keeps the kernels that were compiled."""
        if self._engines:
            self._engines.save()
