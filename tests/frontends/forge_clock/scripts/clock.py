"""For checks: an extension of Forge's family that says in ms where the time of a job goes: before its first step, in
that one, in the usual step of each size, in decoding the last pictures, and after that."""
import json
import statistics
import time
from itertools import pairwise

from modules import script_callbacks, scripts

# Of the job that runs: when it began, its steps with their sizes, and when its pictures were decoded.
begin, decoded, steps = 0.0, 0.0, []


class Clock(scripts.Script):
    def title(self):
        return "Clock"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def process(self, p, *args):
        global begin
        begin = time.perf_counter()
        steps.clear()

    def postprocess_batch(self, p, *args, **kwargs):
        global decoded
        decoded = time.perf_counter()

    def postprocess(self, p, processed, *args):
        end, sizes = time.perf_counter(), {}
        if not steps:
            return
        pairs = [(now - before, size) for (before, size), (now, other) in pairwise(steps) if size == other]
        # The first two may load what they need, or measure.
        for seconds, size in pairs[2:]:
            sizes.setdefault(size, []).append(1000 * seconds)
        parts = {"before": steps[0][0] - begin, "first step": pairs[0][0] if pairs else 0.0,
                 "decoding": decoded - steps[-1][0], "after": end - decoded}
        usual = {size: round(statistics.median(each), 2) for size, each in sizes.items()}
        told = {name: round(1000 * seconds) for name, seconds in parts.items()} | {"step": usual}
        print(f"\nclock: {json.dumps(told)}", flush=True)


def step(params):
    steps.append((time.perf_counter(), "×".join(str(8 * side) for side in reversed(params.x.shape[2:]))))


script_callbacks.on_cfg_denoiser(step)
