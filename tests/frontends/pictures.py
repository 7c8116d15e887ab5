"""The pictures of jobs, what was said of them, and how they are compared."""
import io
import math
from typing import NamedTuple

from server import Refused, digest

LEAST_DB = 40


class Made(NamedTuple):
    files: list
    # What our extension has said meanwhile.
    lines: list

    @property
    def is_served(self):
        """Whether an engine computed."""
        return any(": engine " in line and " at " in line for line in self.lines)


def make(server, path, body):
    """Lets the web UI do a job. If it refuses, there are no pictures, and the lines say why."""
    before = len(server.lines())
    try:
        files = server.images(path, body)
    except Refused as why:
        return Made([], [str(why)])
    return Made(files, server.lines()[before:])


def is_same(one, other, exactly):
    """Returns whether these are the same pictures, or alike, and how alike in words."""
    if not one.files or not other.files:
        return False, "; ".join(["no picture", *one.lines, *other.lines])
    same = digest(one.files) == digest(other.files)
    if same or exactly or len(one.files) != len(other.files):
        return same, ", ".join(each[:10] for each in digest(other.files)) + ("" if same else " differ")
    least = min(decibels(*pair) for pair in zip(one.files, other.files, strict=True))
    return least >= LEAST_DB, f"{least:.1f} dB"


def decibels(one, other):
    """Returns the PSNR of two pictures."""
    import numpy
    from PIL import Image

    of = lambda file: numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB"), float)
    error = float(((of(one) - of(other)) ** 2).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf
