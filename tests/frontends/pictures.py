"""The pictures of jobs, what was said of them, and how they are compared."""
import io
import math
import re
from typing import NamedTuple

from server import Refused, digest

LEAST_DB = 40
# Our line of what an engine did in a job.
SERVED = re.compile(r": engine \w+ at \d+×\d+")
# What PyTorch computes as it should: what is faster so on this GPU, or what no preset takes.
BY_CHOICE = re.compile(r" ms for a call like this|` says what to build|no multiples of")


class Made(NamedTuple):
    files: list
    # What our extension has said meanwhile.
    lines: list
    # The pictures of the same job again, if it was done twice.
    again: list | None = None

    @property
    def is_served(self):
        """Whether an engine computed."""
        return any(SERVED.search(line) for line in self.lines)

    @property
    def by_pytorch(self):
        """Why PyTorch computed, at least in part."""
        return [line for line in self.lines if "PyTorch computes" in line]

    @property
    def is_by_choice(self):
        """Whether PyTorch computed, and should."""
        return bool(self.by_pytorch) and all(BY_CHOICE.search(line) for line in self.by_pytorch)

    @property
    def repeats(self):
        """Whether the second time gave the same files, in words."""
        if self.again is None:
            return ""
        return "the same bits twice" if digest(self.files) == digest(self.again) else "OTHER BITS THE SECOND TIME"


def make(server, path, body, twice=False):
    """Lets the web UI do a job, perhaps twice. If it refuses, there are no pictures, and the lines say why."""
    before = len(server.lines())
    try:
        files = server.images(path, body)
        again = server.images(path, body) if twice else None
    except Refused as why:
        return Made([], [str(why)])
    return Made(files, server.lines()[before:], again)


def is_same(one, other, exactly):
    """Returns whether these are the same pictures, or alike, and how alike in words."""
    if not one.files or not other.files:
        return False, "; ".join(["no picture", *one.lines, *other.lines])
    same = digest(one.files) == digest(other.files)
    if same or exactly or len(one.files) != len(other.files):
        return same, ", ".join(each[:10] for each in digest(other.files)) + ("" if same else " differ")
    least = alike(one, other)
    return least >= LEAST_DB, f"{least:.1f} dB"


def have_one_size(one, other):
    """Whether there are pictures of both, and they can be compared."""
    from PIL import Image

    sizes = [{Image.open(io.BytesIO(file)).size for file in made.files} for made in (one, other)]
    return len(sizes[0]) == 1 and sizes[0] == sizes[1]


def alike(one, other):
    """Returns how alike the least alike pictures are, in dB."""
    return min(decibels(*pair) for pair in zip(one.files, other.files, strict=False))


def decibels(one, other):
    """Returns the PSNR of two pictures."""
    import numpy
    from PIL import Image

    of = lambda file: numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB"), float)
    error = float(((of(one) - of(other)) ** 2).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf
