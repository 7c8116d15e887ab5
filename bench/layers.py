"""Shows where the time of a fixed engine goes, baked and shared: the time of TensorRT-RTX's layers, by their
purpose.

FOLDER is the same as shared.py's. Both engines are fixed to one size and batch. Prints the time of each kind of
layer and, with --all, of each layer. A layer's time includes the gap before the next, so the sum is more than the
time of a call in a CUDA graph. Needs the same as shared.py.
"""
import argparse
import json
import re
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import tensorrt_rtx_bindings as trt
import torch

import bindings
import builds
import engine
import measure
from unet import UNet, load_weights

# A layer's purpose, by the first pattern that its name matches. Most fused layers have uninformative names: "other".
KINDS = {
    "attention": r"attention|attn.*(softmax|scores|values)|fmha|mha",
    "self-attention's projections": r"attn1",
    "cross-attention's projections": r"attn2",
    "embedding": r"emb",
    "convolution": r"conv|in_layers|out_layers|skip_connection|\.op\b|input_blocks\.0|^out",
    "copies and changes of layout": r"reformat|copy|transpose|permute|reshape|cast|concat",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("--size", type=int, default=512, help="pixels")
    add("--batch", type=int, default=2)
    add("--calls", type=int, default=20)
    add("--all", type=Path, metavar="FILE", help="where to write each layer's milliseconds, as JSON")
    return parser.parse_args()


class Layers(trt.IProfiler):
    """The milliseconds of each layer over all calls."""

    def __init__(self):
        super().__init__()
        self.times = defaultdict(float)

    def report_layer_time(self, name, ms):
        self.times[name] += ms


def kind(layer):
    return next((kind for kind, words in KINDS.items() if re.search(words, layer, re.IGNORECASE)), "other")


def build(job):
    """Builds a plan and compiles its kernels, in its own process."""
    onnx, plan, shapes = job
    if not plan.exists():
        engine.build(onnx, plan, [shapes])
    return plan


def main():
    options = arguments()
    torch.set_grad_enabled(False)
    folder = options.folder
    weights = load_weights(folder / "weights.safetensors", "cuda", torch.float16)
    case = measure.inputs(UNet(weights, "sdpa"), options.batch, options.size)
    shapes = builds.profile(case, [options.batch] * 3, [options.size] * 3)
    binding = json.loads((folder / "shared:default.binding.json").read_text())["inputs"]
    graphs = {"baked": "default.onnx", "shared": "shared:default.onnx"}
    todo = [(folder / onnx, folder / f"{name}, {options.size}, {options.batch}, layers.plan", shapes)
            for name, onnx in graphs.items()]
    with ProcessPoolExecutor(len(todo), get_context("spawn"), max_tasks_per_child=1) as pool:
        plans = dict(zip(graphs, pool.map(build, todo)))
    found = {}
    for name, plan in plans.items():
        profiler = Layers()
        filled = bindings.fill(binding, weights) if name == "shared" else {}
        run = engine.Engine(plan, filled, profiler=profiler)
        for _ in range(3):
            run(**case)
        torch.cuda.synchronize()
        profiler.times.clear()
        for _ in range(options.calls):
            run(**case)
        torch.cuda.synchronize()
        found[name] = {layer: ms / options.calls for layer, ms in profiler.times.items()}
    if options.all:
        options.all.write_text(json.dumps(found, indent=1))
    print(f"{torch.cuda.get_device_name()}, TensorRT-RTX {engine.VERSION}, {folder.name}, {options.size} pixels, "
          f"batch {options.batch}; milliseconds a call and layers\n")
    print(f"| what | {' | '.join(found)} |\n|---|{'--:|' * len(found)}")
    sums = {name: defaultdict(lambda: [0.0, 0]) for name in found}
    for name, layers in found.items():
        for layer, ms in layers.items():
            for of in (kind(layer), "all"):
                sums[name][of][0] += ms
                sums[name][of][1] += 1
    for of in [*KINDS, "other", "all"]:
        cells = [f"{sums[name][of][0]:.2f} ({sums[name][of][1]})" for name in found]
        print(f"| {of} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
