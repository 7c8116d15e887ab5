"""Measures engines of a UNet's graphs on an NVIDIA GPU, and compares them with torch.onnx's and PyTorch.

FOLDER has `weights.safetensors` and an ONNX file for each form, as the example `forms` of the crate `unet` writes
them. Exports and engines are kept there too. A call measures some forms at some sizes and appends to a file of
results, so all of it can be done in parts. Needs torch with CUDA, onnx, safetensors and
tensorrt-rtx-cu12-bindings.
"""
import argparse
import gc
import json
import sys
import time
from pathlib import Path

import torch

import builds
import engine
import measure
import torch_onnx
from table import BASELINE, FP16, render
from unet import UNet, load_weights


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    numbers = lambda text: [int(number) for number in text.split(",")]
    add = parser.add_argument
    add("folder", type=Path, nargs="?", metavar="FOLDER")
    add("--forms", default="default", help="names joined by commas, or all")
    add("--sizes", type=numbers, default=[512, 768], help="pixels to measure at")
    add("--pixels", type=numbers, help="min, opt and max pixels of the engines; by default from the sizes")
    add("--batch", type=numbers, default=[1, 2, 2], help="min, opt and max batch; opt is measured")
    add("--jobs", type=int, default=2, help="engines built at once; each takes gigabytes")
    add("--seconds", type=float, default=1.0, help="for timing each graph at each size")
    add("--build-only", action="store_true", help="do not measure")
    add("--compute-capability", action="append", default=[], help="8.9 or current; by default the library chooses")
    add("--results", type=Path, default=Path("results.jsonl"))
    add("--table", action="store_true", help="print all results so far; without FOLDER, only that")
    options = parser.parse_args()
    if options.folder is None and not options.table:
        parser.error("FOLDER or --table")
    options.pixels = options.pixels or [options.sizes[0], options.sizes[0], options.sizes[-1]]
    return options


class Results:
    """The file of results, which this call appends to."""

    def __init__(self, options):
        gpu = torch.cuda.get_device_name()
        self.path = options.results
        self.common = {
            "run": time.strftime("%Y-%m-%dT%H:%M:%S"),
            "machine": f"{gpu}, TensorRT-RTX {engine.VERSION}, PyTorch {torch.__version__}",
            "unet": options.folder.name,
            "batch": options.batch[1],
        }

    def add(self, pixels, graph, found):
        with self.path.open("a") as file:
            print(json.dumps(self.common | {"pixels": pixels, "graph": graph} | found), file=file)


def run(options):
    checkpoint, batch = options.folder / "weights.safetensors", options.batch[1]
    names = [] if options.forms == "all" else options.forms.split(",")
    files = builds.graphs(options.folder, names)
    unet = UNet(load_weights(checkpoint, "cuda", torch.float16), "sdpa")
    case = measure.inputs(unet, batch, options.sizes[0])
    if not files[BASELINE].exists():
        torch_onnx.export(checkpoint, files[BASELINE], case)
    name = "-".join(map(str, [engine.VERSION, *options.pixels, *options.batch]))
    shapes = builds.profile(case, options.batch, options.pixels)
    capabilities = options.compute_capability
    plans, failures = builds.build_all(files, shapes, name, capabilities, options.jobs)
    if not options.build_only:
        measure_all(options, unet, plans, failures)


def measure_all(options, unet, plans, failures):
    checkpoint, results = options.folder / "weights.safetensors", Results(options)
    cases = {pixels: measure.inputs(unet, options.batch[1], pixels) for pixels in options.sizes}
    references = measure.references(checkpoint, cases)
    gc.collect()
    torch.cuda.empty_cache()
    engines = {}
    for graph, (plan, _) in plans.items():
        try:
            engines[graph] = engine.Engine(plan)
        except Exception as error:
            failures[graph] = str(error)
    for pixels, case in cases.items():
        print(f"measuring {options.folder.name} at {pixels}", file=sys.stderr)
        runners = engines | {FP16: unet, f"{FP16}, CUDA graph": measure.Captured(unet, case)}
        found = {}
        for graph, runner in runners.items():
            try:
                found[graph] = measure.first_call(runner, case, references[pixels])
            except Exception as error:
                results.add(pixels, graph, {"failed": str(error)})
        working = {graph: runners[graph] for graph in found}
        for graph, ms in measure.latencies(working, case, options.seconds).items():
            built = plans[graph][1] if graph in plans else {}
            results.add(pixels, graph, found[graph] | {"ms": ms} | built)
        for graph, why in failures.items():
            results.add(pixels, graph, {"failed": why})


def main():
    options = arguments()
    if options.folder is not None:
        if not torch.cuda.is_available():
            raise SystemExit("torch sees no GPU here")
        # The reference must have full precision; cuDNN's default has less.
        torch.backends.cudnn.allow_tf32 = False
        with torch.no_grad():
            run(options)
    if options.table:
        print(render(options.results) if options.results.exists() else "no results yet")


if __name__ == "__main__":
    main()
