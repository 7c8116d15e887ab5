"""Compares shared engines with baked ones and PyTorch, on an NVIDIA GPU.

FOLDER has `weights.safetensors`, `default.onnx`, `shared:default.onnx` and its `.binding.json`, as the example
`forms` of the crate `unet` writes them. Measures at each size open and fixed engines of both kinds, PyTorch as
front ends run it and in a CUDA graph; at the first size other bindings too. Prints a table. Needs torch with CUDA,
onnx, safetensors and tensorrt-rtx-cu12-bindings.
"""
import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

import bindings
import builds
import engine
import measure
from unet import UNet, load_weights

SHARED, BAKED = "shared", "baked"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    numbers = lambda text: [int(number) for number in text.split(",")]
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("--sizes", type=numbers, default=[512, 768, 1024], help="pixels")
    add("--batch", type=numbers, default=[1, 2, 8], help="min, opt and max of the open engines; opt is measured")
    add("--variants", action="store_true", help="other bindings too, at the first size")
    add("--jobs", type=int, default=8, help="engines built at once")
    add("--seconds", type=float, default=0.5, help="for timing each at each size")
    return parser.parse_args()


def build(job):
    """Builds a plan and compiles this GPU's kernels, in its own process."""
    name, onnx, folder, profile = job
    plan = folder / f"{name}.plan"
    seconds = engine.build(onnx, plan, [profile])
    start = time.monotonic()
    warm = engine.Engine(plan, cache=f"{plan}.cache")
    warm.keep()
    return name, plan, {"build": seconds, "kernels": time.monotonic() - start, "bytes": plan.stat().st_size}


def jobs(options, unet):
    """Yields (name, ONNX file, binding), profile and sizes of each engine to measure."""
    folder, sizes, batch = options.folder, options.sizes, options.batch
    case = measure.inputs(unet, batch[1], sizes[0])
    graphs = {BAKED: (folder / "default.onnx", None)}
    binding = json.loads((folder / "shared:default.binding.json").read_text())["inputs"]
    graphs[SHARED] = (folder / "shared:default.onnx", binding)
    for kind, (onnx, bound) in graphs.items():
        profile = builds.profile(case, batch, [sizes[0], sizes[0], sizes[-1]])
        yield f"{kind}, open", onnx, bound, profile, sizes
        for size in sizes:
            profile = builds.profile(case, [batch[1]] * 3, [size] * 3)
            yield f"{kind}, fixed to {size}", onnx, bound, profile, [size]
    if options.variants:
        import onnx as onnx_package

        graph = onnx_package.load(folder / "default.onnx", load_external_data=False)
        for variant in bindings.VARIANTS:
            model, bound = bindings.bind(graph, variant)
            path = folder / f"variant-{variant.replace(' ', '-')}.onnx"
            onnx_package.save(model, path)
            profile = builds.profile(case, [batch[1]] * 3, [sizes[0]] * 3)
            yield f"bound {variant}, fixed to {sizes[0]}", path, bound, profile, sizes[:1]


def main():
    options = arguments()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_grad_enabled(False)
    weights = load_weights(options.folder / "weights.safetensors", "cuda", torch.float16)
    unet = UNet(weights, "sdpa")
    last = {name: t.to(memory_format=torch.channels_last) if t.dim() == 4 else t for name, t in weights.items()}
    todo = list(jobs(options, unet))
    found = {}
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name, plan, took in pool.map(build, [(n, o, options.folder, p) for n, o, _, p, _ in todo]):
            found[name] = plan, took
    print(f"{torch.cuda.get_device_name()}, TensorRT-RTX {engine.VERSION}, PyTorch {torch.__version__}, "
          f"{options.folder.name}, batch {options.batch[1]}\n")
    print("| size | what | ms | × baked, open | × PyTorch's graph | error | build | kernels | plan |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    cases = {size: measure.inputs(unet, options.batch[1], size) for size in options.sizes}
    references = measure.references(options.folder / "weights.safetensors", cases)
    for size, case in cases.items():
        runners = {"PyTorch": unet}
        runners["PyTorch, channels last, CUDA graph"] = measure.Captured(UNet(last, "sdpa"), case)
        for name, _, binding, _, sizes in todo:
            if size in sizes:
                filled = bindings.fill(binding, weights) if binding else {}
                runners[name] = engine.Engine(found[name][0], filled, f"{found[name][0]}.cache")
        errors = {name: measure.first_call(run, case, references[size])["error"] for name, run in runners.items()}
        times = measure.latencies(runners, case, options.seconds)
        for name, ms in times.items():
            took = found[name][1] if name in found else None
            built = f"{took['build']:.0f} s | {took['kernels']:.0f} s | {took['bytes'] / 1e6:.0f} MB" if took else "| |"
            open_, graph = times[f"{BAKED}, open"], times["PyTorch, channels last, CUDA graph"]
            ratios = f"{ms / open_:.3f} | {ms / graph:.3f}"
            print(f"| {size} | {name} | {ms:.2f} | {ratios} | {errors[name]:.1e} | {built} |")


if __name__ == "__main__":
    main()
