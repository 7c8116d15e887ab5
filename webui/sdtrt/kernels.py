"""TensorRT-RTX's runtime cache in a file: the kernels of an engine, as compiled for one GPU and driver."""
from __future__ import annotations

import fcntl
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

from .proofs import write

DRIVER = Path("/proc/driver/nvidia/version")
VERSION = re.compile(r"\d+(?:\.\d+)+")


def folder(gpu, driver, tensorrt):
    """The name of the folder for these, such as NVIDIA_H200-580.159.04-1.6.1.120."""
    return "-".join(re.sub(r"[^A-Za-z0-9._]", "_", part) for part in (gpu, driver, tensorrt))


def driver(path=DRIVER, run=subprocess.run):
    """The version of NVIDIA's driver, or 'unknown'."""
    try:
        return VERSION.search(path.read_text("utf-8").splitlines()[0]).group()
    except (OSError, IndexError, AttributeError):
        pass
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return VERSION.search(run(query, capture_output=True, text=True, timeout=10).stdout).group()
    except (OSError, subprocess.SubprocessError, AttributeError):
        return "unknown"


class KernelCache:
    """The cache of an execution context, and its file."""

    def __init__(self, config, path):
        self.path = path and Path(path)
        self.cache = config.create_runtime_cache()
        self._take_in()
        config.set_runtime_cache(self.cache)
        # Whether there may be more in it than in the file.
        self.stale = False

    def save(self):
        """Puts into the file what may have come, beside what others have put there. One who writes at this
        very moment is not waited for: then it is done after the next job. Raises OSError."""
        if not (self.path and self.stale):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(f"{self.path.name}.lock")) as is_ours:
            if not is_ours:
                return
            before = self._take_in()
            found = bytes(self.cache.serialize())
            if found != before:
                write(self.path, found)
            self.stale = False

    def _take_in(self):
        """Adds what the file holds, and returns it. Of another GPU, driver or version it is refused."""
        try:
            data = self.path.read_bytes() if self.path else None
        except OSError:
            return None
        if data:
            self.cache.deserialize(data)
        return data


@contextmanager
def locked(path):
    """Whether the lock could be had at once."""
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
