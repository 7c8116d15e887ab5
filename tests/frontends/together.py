"""Checks beside each other: pictures that one web UI makes while another makes the same, and what must be alone."""
import fcntl
import threading
from contextlib import contextmanager


class Ahead:
    """Makes what `pairs` yields, names and pictures, in a thread of its own. As a mapping, it waits for what is asked
    for until it is there, or nothing more comes."""

    def __init__(self, pairs):
        self._made, self._has_ended, self._problem = {}, False, None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(pairs,), daemon=True)
        self._thread.start()

    def _run(self, pairs):
        try:
            for name, made in pairs:
                with self._change:
                    self._made[name] = made
                    self._change.notify_all()
        except Exception as problem:
            self._problem = problem
        finally:
            with self._change:
                self._has_ended = True
                self._change.notify_all()

    def get(self, name, default=None):
        """Returns what was made of this name once it is there; `default` if it will never be."""
        with self._change:
            self._change.wait_for(lambda: name in self._made or self._has_ended)
            return self._made.get(name, default)

    def __contains__(self, name):
        return self.get(name) is not None

    def __getitem__(self, name):
        made = self.get(name)
        if made is None:
            raise KeyError(name)
        return made

    def finished(self):
        """Waits for the rest, and returns all; raises what ended it."""
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        return self._made


@contextmanager
def alone(file):
    """Waits until no other check measures times; each has the file open."""
    if file is None:
        yield
        return
    with open(file, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
