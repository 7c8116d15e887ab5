"""The graphs in a folder and the engines built from them, which are kept for the next call."""
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import bindings
import engine
from measure import PIXELS, TOKENS
from table import BASELINE


def graphs(folder, names):
    """Returns the ONNX files of these forms by name, or all that exist, and torch.onnx's."""
    there = {path.stem: path for path in sorted(folder.glob("*.onnx"))}
    for name in names or there:
        if name not in there:
            raise SystemExit(f"{folder} has no {name}.onnx, only: {', '.join(there) or 'none'}")
    chosen = {name: there[name] for name in names or there}
    return chosen | {BASELINE: folder / "torch-onnx/unet.onnx"}


def profile(case, batch, pixels):
    """Returns the min, opt and max shape of each input, for these batches and sizes."""
    triples = {name: [] for name in case}
    for images, side, tokens in zip(batch, pixels, (TOKENS, TOKENS, 2 * TOKENS)):
        for name, tensor in case.items():
            shape = [images, *tensor.shape[1:]]
            if name == "sample":
                shape[2:] = [side // PIXELS] * 2
            elif name == "encoder_hidden_states":
                shape[1] = tokens
            triples[name].append(tuple(shape))
    return triples


def build(graph, onnx, shapes, name, compute_capabilities):
    """Returns a graph's plan and its build's figures; an earlier call's if the graph has not changed since."""
    plan = onnx.parent / f"{graph}.{name}.plan"
    note = onnx.parent / f"{graph}.{name}.json"
    if not note.exists() or note.stat().st_mtime < onnx.stat().st_mtime:
        seconds = engine.build(onnx, plan, [shapes], compute_capabilities)
        note.write_text(json.dumps({"build": seconds, "bytes": plan.stat().st_size}))
    return plan, json.loads(note.read_text())


def build_all(files, shapes, name, compute_capabilities, jobs):
    """Returns plans and their builds' figures by graph, and why others failed."""
    plans, failures = {}, {}
    # Each in its own process, which frees its gigabytes, and never with this process's CUDA.
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        submit = lambda *of: pool.submit(build, *of, shapes, name, compute_capabilities)
        waiting = {graph: submit(graph, onnx) for graph, onnx in files.items()}
        for graph, job in waiting.items():
            try:
                plans[graph] = job.result()
                print(f"built {graph}: {plans[graph][1]}", file=sys.stderr)
            except Exception as error:
                failures[graph] = str(error)
                print(f"could not build {graph}: {error}", file=sys.stderr)
    return plans, failures


def open_engine(folder, form, weights, case, batch, pixels, plan=None):
    """Returns the engine of a shared form with these weights: of `plan`, or built for these batches and sizes."""
    name = f"shared:{form}"
    binding = json.loads((folder / f"{name}.binding.json").read_text())["inputs"]
    if plan is None:
        span = "-".join(map(str, [engine.VERSION, *pixels, *batch]))
        plans, failures = build_all({name: folder / f"{name}.onnx"}, profile(case, batch, pixels), span, (), 1)
        if failures:
            raise SystemExit(f"could not build {name}: {failures[name]}")
        plan = plans[name][0]
    return engine.Engine(plan, bindings.fill(binding, weights), f"{plan}.cache")


def sizes(text):
    """Parses heights and widths in pixels: `512,520x776` is [(512, 512), (520, 776)]."""
    sides = [[int(side) for side in size.split("x")] for size in text.split(",")]
    return [(height, (width or [height])[0]) for height, *width in sides]
