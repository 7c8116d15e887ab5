"""Jobs of a whole ComfyUI with PyTorch and with engines, beside each other in one server.

With a GPU pictures must be 40 dB alike, neither empty nor another the next time, and an engine's where engines can
compute them. Without one PyTorch computes all, and they must be the same files.
"""
import hashlib
import io
import re
import time
from collections import Counter
from typing import NamedTuple

from comfyui_jobs import ENGINE, PYTORCH, graph
from pictures import LEAST_DB, decibels

# The end of a sampler's bar in the console: how many steps, and how fast.
BAR = re.compile(r"(\d+)/\1 \[[^\]]*?([\d.]+)(it/s|s/it)[^\]]*\]")
# Our line of what an engine did in a job.
SERVED = re.compile(r"engine [0-9a-f]+ at ")
# What the node says where PyTorch computes because it is faster.
FASTER = "PyTorch takes"
# What ComfyUI logs where it can't apply a LoRA to a layer, and leaves the layer as it is.
FAILED = re.compile(r"ERROR \w+ diffusion_model\.")
# A job of no model.
NOTHING = {"1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
           "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
# The least spread of a picture's values: of less nothing is to be seen.
LEAST_SPREAD = 2


class Made(NamedTuple):
    """A job's pictures, and what the server said meanwhile."""

    files: list
    text: str

    @property
    def names(self):
        return [hashlib.sha1(file).hexdigest() for file in self.files]

    @property
    def lines(self):
        """What our node has said."""
        found = [line.partition("sdtrt:")[2].strip() for line in self.text.splitlines() if "sdtrt:" in line]
        return list(dict.fromkeys(found))

    @property
    def is_served(self):
        return any(SERVED.search(line) for line in self.lines)

    @property
    def engines(self):
        """How often it has said what engines did: once for each GPU and job."""
        return sum("sdtrt:" in line and SERVED.search(line) is not None for line in self.text.splitlines())

    @property
    def in_torch(self):
        """Why PyTorch has computed, at least in part."""
        return [line for line in self.lines if "PyTorch computes" in line]

    @property
    def rates(self):
        """Steps a second of each sampler: a bar is one line, whose last state tells of all steps."""
        bars = [found[-1] for line in self.text.split("\n") if (found := BAR.findall(line))]
        return [float(value) if unit == "it/s" else 1 / float(value) for _, value, unit in bars]


class Beside:
    """`graph_of` makes a job's graph, as `comfyui_jobs.graph` does."""

    def __init__(self, options, server, base, graph_of=graph):
        self.options, self.server, self.base, self.graph_of = options, server, base, graph_of
        self.failures = []
        self.begin()

    def begin(self):
        self.least, self.count, self.ways, self.why = [], 0, Counter(), Counter()

    def make(self, job, with_node):
        """Returns a job's pictures."""
        log = self.base / "log"
        before = log.stat().st_size
        if job.get("free"):
            self.server.get("/free", job["free"])
            if job["free"].get("free_memory"):
                # What is to be freed is freed before the next job or after it.
                self.server.run(NOTHING)
        files = []
        for number in range(job.get("count", 1)):
            self.server.number += 1
            made = self.graph_of(job, with_node, self.server.number, job.get("seed", 42) + number)
            files += [(self.base / "output" / name).read_bytes() for name in self.server.run(made)]
        with open(log, "rb") as file:
            file.seek(before)
            return Made(files, file.read().decode(errors="replace"))

    def check(self, name, job, twice=True, plain=None):
        """Makes a job's pictures in both ways and says how alike they are; returns them, of PyTorch first. They must be
        others than those of the job `plain`, if there is one."""
        expected, found = self.make(job, False), self.make(job, True)
        wrong = self.wrong(job, expected, found)
        is_applied = not FAILED.search(expected.text)
        wrong += ["nothing changes"] * (is_applied and plain is not None and plain.names == expected.names)
        alike = "the same file" if expected.names == found.names else "other files"
        if self.options.gpu and expected.files and len(expected.files) == len(found.files):
            least = min(map(decibels, expected.files, found.files))
            self.least.append(least)
            alike = f"{least:.1f} dB"
            wrong += [f"less than {LEAST_DB} dB"] * (least < LEAST_DB)
            wrong += ["an empty picture"] * any(spread(file) < LEAST_SPREAD for file in (*expected.files, *found.files))
        if self.options.gpu and twice:
            again = last = self.make(job, True)
            # The first time an engine is compared with PyTorch; the second measures it, and may find it to be slower.
            is_first = again.names != found.names
            if is_first:
                again, last = self.make(job, True), self.make(job, True)
            wrong += ["another picture each time"] * (last.names != again.names)
            alike += ", the same from the third on" if is_first else ", the same twice"
        self.count += 1
        rates = " → ".join(", ".join(f"{rate:.1f}" for rate in each.rates) for each in (expected, found))
        told = [alike, f"{rates} steps/s", *["ComfyUI itself can't apply it"] * (not is_applied), *found.lines]
        told += [f"WRONG: {each}" for each in wrong]
        self.note(found)
        print(f"{'WRONG' if wrong else 'ok':6}{name:32}  {'; '.join(told)}", flush=True)
        self.failures += [name] * bool(wrong)
        return expected, found

    def note(self, found):
        """Counts who has computed a job, and why PyTorch has."""
        self.why.update({re.sub(r"[\d.]+(×[\d.]+)*", "…", line) for line in found.in_torch})
        by = "engines and PyTorch" if found.in_torch else "engines"
        self.ways[by if found.is_served else "PyTorch"] += 1

    def sum_up(self, title, before):
        """Prints how often what was seen since there were so many failures."""
        ways = ", ".join(f"{count} by {way}" for way, count in self.ways.items())
        print(f"== {title}: {self.count} jobs; {ways}; {len(self.failures) - before} wrong", end="")
        if self.least:
            below = sum(each < LEAST_DB for each in self.least)
            print(f"; {below} below {LEAST_DB} dB, the least {min(self.least):.1f} dB", end="")
        print(*(f"\n   {count} × {why}" for why, count in self.why.most_common()), flush=True, sep="")

    def wrong(self, job, expected, found):
        """Returns what is wrong with a job besides the pictures' looks."""
        wrong = ["no picture"] * (not expected.files or len(expected.files) != len(found.files))
        wrong += ["the node speaks without being there"] * bool(expected.lines)
        if not self.options.gpu:
            return wrong + ["not the same file"] * (expected.names != found.names)
        by = job.get("by", ENGINE)
        is_slower = any(FASTER in line for line in found.lines)
        wrong += ["no engine computed it"] * (by == ENGINE and not found.is_served and not is_slower)
        wrong += ["an engine computed it"] * (by == PYTORCH and found.is_served)
        wrong += ["an engine on one GPU alone"] * (job.get("gpus", 1) > 1 and found.engines == 1)
        return wrong + ["nothing says why PyTorch computes"] * (by == PYTORCH and not found.lines)

    def check_all(self, title, jobs, seconds=None, twice=True):
        """Checks jobs, no new one after so many seconds, and sums up. LoRAs must change the picture of a job that has
        none, if that was the first."""
        print(f"== {title}", flush=True)
        end = time.monotonic() + (seconds or float("inf"))
        self.begin()
        before = len(self.failures)
        try:
            self.check_each(jobs, end, twice)
        finally:
            self.sum_up(title, before)

    def check_each(self, jobs, end, twice):
        first = None
        for name, job in jobs:
            if time.monotonic() > end:
                break
            try:
                plain = first if first and first[0] == {**job, "loras": None} and job.get("loras") else None
                made = self.check(name, job, twice, plain and plain[1])[0]
                first = first or ({**job, "loras": None}, made)
            except (AssertionError, OSError) as error:
                self.failures.append(name)
                print(f"WRONG {name}: {error}", flush=True)


def spread(file):
    """Returns the standard deviation of a picture's values."""
    import numpy
    from PIL import Image

    return float(numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB"), float).std())
