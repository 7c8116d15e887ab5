"""The engines that are loaded: those used last. The web UI changes between them at the cost of a look-up."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import index
from .binding import Input

if TYPE_CHECKING:
    from .engine import Engine, Lent

    # An engine, and the inputs that are its weights.
    Loaded = tuple[Engine, tuple[Input, ...]]

# Without weights an engine takes some tens of MB; one that is open takes more than one that is fixed.
FIXED, OPEN = 6, 2


class Engines:
    """`load(entry, lent)` loads one and says how it reads its weights; `lent` is the memory for activations that
    all of them take turns in."""

    def __init__(
        self, load: Callable[[index.Engine, Lent], Loaded], lent: Lent, say: Callable[[str], None]
    ) -> None:
        self._load, self._lent, self._say = load, lent, say
        # The one used last is last.
        self._loaded: dict[str, tuple[index.Engine, Loaded]] = {}

    def get(self, entry: index.Engine) -> Loaded:
        """The engine of an entry of the index, and the inputs that are its weights."""
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
        """Keeps the kernels that were compiled."""
        for _, (engine, _) in self._loaded.values():
            self._save(engine)

    def _save(self, engine: Engine) -> None:
        try:
            engine.cache.save()
        except OSError as error:
            self._say(f"the compiled kernels could not be kept: {error}")

    def rest(self) -> None:
        """Gives back the GPU memory that counts: activations, and weights of baked engines."""
        self._lent.release()
        for entry, (engine, _) in list(self._loaded.values()):
            if not entry.is_shared:
                self._save(engine)
                del self._loaded[entry.id]

    def drop(self) -> None:
        """Nothing stays loaded."""
        self._loaded.clear()
        self._lent.release()
