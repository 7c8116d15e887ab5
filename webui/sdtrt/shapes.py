"""Tells the daemon which shapes were asked for, so that it has engines fixed to those in use."""
from __future__ import annotations

import json
import secrets
import threading

from .daemon import NoAnswer, Refused, ask
from .proofs import write

VERSION = 1


class Shapes:
    """The shapes of a job, each once, the one used last being last."""

    def __init__(self):
        self._seen = {}

    def note(self, signature, call):
        shape = call.width, call.height, call.batch
        of_signature = self._seen.setdefault(signature, {})
        of_signature.pop(shape, None)
        of_signature[shape] = {"width": call.width, "height": call.height, "batch": call.batch}

    def take(self):
        """What was noted since it was last taken, by signature."""
        seen, self._seen = self._seen, {}
        return {signature: list(shapes.values()) for signature, shapes in seen.items()}


class Teller:
    """Tells of shapes in the background: nobody waits for a daemon."""

    def __init__(self, folder):
        self._folder = folder
        # One file for each signature, however long the daemon is away.
        self._name = secrets.token_hex(4)
        self._left = {}

    def tell(self, socket, seen):
        if seen:
            threading.Thread(target=self.tell_now, args=(socket, seen), daemon=True).start()

    def tell_now(self, socket, seen):
        for signature, shapes in seen.items():
            try:
                ask(socket, "shapes", signature=signature, shapes=shapes)
            except Refused:
                # It has heard it, and knows better.
                pass
            except NoAnswer:
                self._leave(signature, shapes)

    def _leave(self, signature, shapes):
        """Leaves them for the daemon's next start."""
        left = [shape for shape in self._left.get(signature, []) if shape not in shapes] + shapes
        self._left[signature] = left
        tree = {"version": VERSION, "signature": signature, "shapes": left}
        try:
            write(self._folder / f"{signature}-{self._name}.json", json.dumps(tree).encode())
        except OSError:
            # The next job tells of its own.
            pass
