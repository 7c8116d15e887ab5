"""Compares a shared engine with PyTorch fp16 for every hard input, size and batch, and shows where it is wrong.

FOLDER is the same as shared.py's, of SD 1.5's kind or SDXL's. An error is ‖found − expected‖ / ‖expected‖ of a
batch's worst image. The reference is the UNet in fp32 at sizes up to --exact (longest side); beyond, it is PyTorch
fp16, unless the engine exceeds the bound there: then fp32 decides. Batches up to 2 have one engine for all sizes,
larger ones another for up to 768 pixels, as in the presets. Prints the faults, the worst error for each input and
size, and the number of each kind of fault. Needs the same as shared.py.
"""
import argparse
import gc
import math
import sys
import time
from pathlib import Path

import torch

import builds
import engine
import hard_inputs
import measure
from unet import UNet, load_weights

BOUND, TIMES = 2e-2, 2
# The longest side for batches above two, and of their engine.
BATCHED = 768


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("--sizes", type=builds.sizes, help="pixels, HEIGHTxWIDTH where they differ",
        default=builds.sizes("512,512x768,520x776,768,1024,1000x1400,1536,1920,2048"))
    add("--batches", type=lambda text: [int(batch) for batch in text.split(",")], default=[1, 2, 8])
    add("--exact", type=int, default=1024, help="longest side with a reference in fp32")
    add("--minutes", type=float, default=9, help="start nothing new after this time")
    add("--form", default="default", help="the engines' form")
    return parser.parse_args()


def points(options):
    """Returns (size, batch) of all calls; each is made with all inputs."""
    return [(size, batch) for size in options.sizes for batch in options.batches if batch <= 2 or max(size) <= BATCHED]


def engines(options, unet, weights):
    """Returns an engine for each batch; one may serve several."""
    found, case = {}, measure.inputs(unet, 1, options.sizes[0][0])
    for few in (True, False):
        here = [(size, batch) for size, batch in points(options) if (batch <= 2) == few]
        if here:
            batches, sides = [batch for _, batch in here], [side for size, _ in here for side in size]
            least, most = (1, 2) if few else (1, max(batches)), (min(sides), max(sides))
            shared = builds.open_engine(options.folder, options.form, weights, case, [*least, least[1]],
                                        [most[0], most[0], most[1]])
            found |= dict.fromkeys(batches, shared)
    return found


def worst(found, expected):
    """Returns the error of the worst image; NaN if any value is."""
    of = [measure.relative_error(*pair) for pair in zip(found, expected)]
    return math.nan if any(map(math.isnan, of)) else max(of)


class Row:
    """One call: the errors of the engine and of PyTorch fp16; the latter is NaN if that was the reference."""

    def __init__(self, kind, size, batch, run, half, full, exact):
        self.kind, self.size, self.batch = kind, size, batch
        case = hard_inputs.inputs(half, kind, batch, size)
        found, beside = run(**case), half(**case)
        self.lost = bool(beside.isfinite().all() and not found.isfinite().all())
        self.broken = not beside.isfinite().all()
        self.engine, self.half = worst(found, beside), math.nan
        self.exact = exact or not self.engine <= BOUND
        if self.exact:
            expected = full(**{name: tensor.float() for name, tensor in case.items()})
            self.engine, self.half = worst(found, expected), worst(beside, expected)

    past = property(lambda self: not self.engine <= BOUND)
    times = property(lambda self: self.engine / self.half)
    past_times = property(lambda self: not self.times <= TIMES and self.exact)
    past_both = property(lambda self: self.past and self.past_times and not self.broken)

    def __str__(self):
        beside = f"{self.half:.1e} | {self.times:.1f} | fp32" if self.exact else "| | PyTorch fp16"
        size = "×".join(map(str, self.size))
        return f"| {self.kind} | {size} | {self.batch} | {self.engine:.1e} | {beside} |"


HEADER = "| input | size | batch | engine | PyTorch fp16 | × | against |\n|---|---|--:|--:|--:|--:|---|"


def report(options, rows):
    every = len(points(options)) * len(hard_inputs.NAMES)
    print(f"{torch.cuda.get_device_name()}, TensorRT-RTX {engine.VERSION}, PyTorch {torch.__version__}, "
          f"{options.folder.name}, {options.form}\n")
    key = lambda row: math.inf if math.isnan(row.engine) else row.engine
    groups = {}
    for row in rows:
        groups.setdefault((row.kind, row.size), []).append(row)
    print(f"The worst of each input and size:\n\n{HEADER}")
    for of in sorted(groups, key=lambda of: hard_inputs.NAMES.index(of[0])):
        print(max(groups[of], key=key))
    print(f"\nAt fault:\n\n{HEADER}")
    for row in rows:
        if row.lost or row.past_both:
            print(row)
    count = lambda what: sum(bool(what(row)) for row in rows)
    print(f"\n{len(rows)} calls of {every}, {every - len(rows)} not made for lack of time; "
          f"{count(lambda row: row.exact)} against fp32")
    print(f"{count(lambda row: row.lost)} not finite where PyTorch fp16 is; "
          f"{count(lambda row: row.broken)} not finite in PyTorch fp16")
    print(f"{count(lambda row: row.past)} past {BOUND:.0e}")
    print(f"{count(lambda row: row.past_times)} past {TIMES} × PyTorch fp16's own error")
    print(f"{count(lambda row: row.past_both)} past both where PyTorch fp16 is finite", flush=True)


def main():
    options = arguments()
    start = time.monotonic()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_grad_enabled(False)
    checkpoint = options.folder / "weights.safetensors"
    weights = load_weights(checkpoint, "cuda", torch.float16)
    half = UNet(weights, "sdpa")
    runners = engines(options, half, weights)
    full = UNet(load_weights(checkpoint, "cuda", torch.float32), "sdpa")
    rows = []
    for size, batch in points(options):
        for kind in hard_inputs.NAMES:
            if time.monotonic() - start < 60 * options.minutes:
                rows.append(Row(kind, size, batch, runners[batch], half, full, max(size) <= options.exact))
                print(rows[-1], file=sys.stderr, flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    for run in {id(run): run for run in runners.values()}.values():
        run.keep()
    report(options, rows)


if __name__ == "__main__":
    main()
