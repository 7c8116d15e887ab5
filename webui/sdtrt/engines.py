"""The loaded engines: the most recently used ones. Switching between them costs a look-up."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import index
from .binding import Input

if TYPE_CHECKING:
    from .engine import Engine, Lent

    # An engine and its weight inputs.
    Loaded = tuple[Engine, tuple[Input, ...]]

# Without weights an engine takes some tens of MB; an open one more than a fixed one.
FIXED, OPEN = 6, 2


class Engines:
    """`load(entry, lent)` loads an engine and returns it with its weight inputs; `lent` is the memory for
    activations that all of them share."""

    def __init__(
        self, load: Callable[[index.Engine, Lent], Loaded], lent: Lent, say: Callable[[str], None]
    ) -> None:
        self._load, self._lent, self._say = load, lent, say
        # Ordered by last use, the most recent last.
        self._loaded: dict[str, tuple[index.Engine, Loaded]] = {}

    def get(self, entry: index.Engine) -> Loaded:
        """Returns the engine for an entry of the index, with its weight inputs."""
        loaded = self._loaded.pop(entry.id, None)
        if loaded is None:
            self._make_room(entry)
            loaded = (entry, self._load(entry, self._lent))
        self._loaded[entry.id] = loaded
        return loaded[1]

    def _make_room(self, entry: index.Engine) -> None:
        bound = FIXED if entry.is_fixed else OPEN
        alike = [loaded for loaded, _ in self._loaded.values() if loaded.is_fixed == entry.is_fixed]
        for oldest in alike[: max(0, len(alike) - bound + 1)]:
            _, (engine, _) = self._loaded.pop(oldest.id)
            self._save(engine)

    def save(self) -> None:
        """Saves the compiled kernels."""
        for _, (engine, _) in self._loaded.values():
            self._save(engine)

    def _save(self, engine: Engine) -> None:
        try:
            engine.cache.save()
        except OSError as error:
            self._say(f"the compiled kernels could not be saved: {error}")

    def rest(self) -> None:
        """Frees the GPU memory that matters: activations, and the weights of baked engines."""
        self._lent.release()
        for entry, (engine, _) in list(self._loaded.values()):
            if not entry.is_shared:
                self._save(engine)
                del self._loaded[entry.id]

    def drop(self) -> None:
        """Unloads all engines."""
        self._loaded.clear()
        self._lent.release()
