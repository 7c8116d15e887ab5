"""Tells the daemon which shapes were requested, so that it builds fixed engines for those in use."""
from __future__ import annotations

import json
import secrets
import threading
from contextlib import suppress
from pathlib import Path

from .calls import Call
from .daemon import NoAnswer, Refused, ask
from .proofs import write

VERSION = 1

# Width, height and batch by name.
Shape = dict[str, int]


class Shapes:
    """The distinct shapes of a job, the most recently used last."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[tuple[int, int, int], Shape]] = {}

    def note(self, signature: str, call: Call) -> None:
        shape = call.width, call.height, call.batch
        of_signature = self._seen.setdefault(signature, {})
        of_signature.pop(shape, None)
        of_signature[shape] = {"width": call.width, "height": call.height, "batch": call.batch}

    def take(self) -> dict[str, list[Shape]]:
        """Returns the shapes since the last call, by signature."""
        seen, self._seen = self._seen, {}
        return {signature: list(shapes.values()) for signature, shapes in seen.items()}


class Teller:
    """Sends shapes in the background: no one waits for the daemon."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # One file per signature, however long the daemon is away.
        self._name = secrets.token_hex(4)
        self._left: dict[str, list[Shape]] = {}

    def tell(self, socket: str | None, seen: dict[str, list[Shape]]) -> None:
        if seen:
            threading.Thread(target=self.tell_now, args=(socket, seen), daemon=True).start()

    def tell_now(self, socket: str | None, seen: dict[str, list[Shape]]) -> None:
        for signature, shapes in seen.items():
            try:
                ask(socket, "shapes", signature=signature, shapes=shapes)
            except Refused:
                # The daemon received and refused it.
                pass
            except NoAnswer:
                self._leave(signature, shapes)

    def _leave(self, signature: str, shapes: list[Shape]) -> None:
        """Leaves them in a file for the daemon's next start."""
        left = [shape for shape in self._left.get(signature, []) if shape not in shapes] + shapes
        self._left[signature] = left
        tree = {"version": VERSION, "signature": signature, "shapes": left}
        # The next job sends its own.
        with suppress(OSError):
            write(self._folder / f"{signature}-{self._name}.json", json.dumps(tree).encode())
