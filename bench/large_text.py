"""Finds where an engine's error with large prompt embeddings comes from, and what reducing it costs: builds the
shared graph with one class of its products after another accumulated in fp32, that is, with casts around them, and
runs it with embeddings of the usual and of five times the usual magnitude.

FOLDER is the same as shared.py's. Prints for each graph the errors against fp32, also as multiples of PyTorch
fp16's own, and the time per call. TensorRT-RTX computes a convolution between casts in fp32, including its
weights; it still multiplies matrices in fp16, but accumulates in fp32. Needs the same as shared.py.
"""
import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

import bindings
import builds
import engine
import measure
from unet import UNet, load_weights

PYTORCH, DEFAULT = "PyTorch fp16", "default"
# SD 1.5's blocks at a quarter of the latent's size and below, whose convolutions accumulate most values.
LOW = [*(f"input_blocks.{n}." for n in range(7, 12)), "middle_block.", *(f"output_blocks.{n}." for n in range(6))]
# What is accumulated in fp32 in addition to the default: operators, and a part of their names.
LINEAR, PRODUCTS, CONVOLUTIONS = ("Gemm", ""), ("MatMul", ""), ("Conv", "")
VARIANTS = {
    DEFAULT: [],
    "keys and values of the text": [("Gemm", ".attn2.to_k")],
    "products of attention to the text": [("MatMul", ".attn2/")],
    "attention to the text, all": [("MatMul", ".attn2/"), ("Gemm", ".attn2.")],
    "feed-forward": [("Gemm", ".ff.")],
    "linear layers": [LINEAR],
    "linear layers, attention": [LINEAR, PRODUCTS],
    "convolutions of the two lowest levels": [("Conv", at) for at in LOW],
    "convolutions": [CONVOLUTIONS],
    "convolutions, linear layers, attention": [CONVOLUTIONS, LINEAR, PRODUCTS],
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    numbers = lambda text: [int(number) for number in text.split(",")]
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("--size", type=int, default=512, help="pixels; engines are fixed to it")
    add("--open-to", type=int, help="pixels; engines are open, from the size to this")
    add("--factors", type=numbers, default=[1, 5], help="of the prompt embedding")
    add("--jobs", type=int, default=5, help="engines built at once")
    add("--seconds", type=float, default=1.0, help="for timing each")
    return parser.parse_args()


def widened(graph, chosen):
    """Adds casts around the chosen products, and moves the biases of linear layers outside of them."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    to_fp32 = {n.output[0] for n in graph.graph.node if n.op_type == "Cast" and n.attribute[0].i == TensorProto.FLOAT}

    def picked(node):
        named = any(node.op_type == operator and mark in node.name for operator, mark in chosen)
        return named and node.input[0] not in to_fp32

    def cast(value, output, to):
        return helper.make_node("Cast", [value], [output], name=f"{output}/cast", to=to)

    del model.graph.node[:]
    for node in graph.graph.node:
        if not picked(node):
            model.graph.node.append(node)
            continue
        operands, output = list(node.input), node.output[0]
        bias = operands.pop() if node.op_type == "Gemm" and len(operands) > 2 else None
        wide = [f"{node.name}/wide.{number}" for number in range(len(operands))]
        model.graph.node.extend(cast(*pair, TensorProto.FLOAT) for pair in zip(operands, wide))
        product = helper.make_node(node.op_type, wide, [f"{output}/wide"], name=node.name)
        product.attribute.extend(node.attribute)
        narrow = f"{output}/product" if bias else output
        model.graph.node.extend([product, cast(f"{output}/wide", narrow, TensorProto.FLOAT16)])
        if bias:
            model.graph.node.append(helper.make_node("Add", [narrow, bias], [output], name=f"{node.name}/bias"))
    return model


def build(job):
    name, path, profile = job
    plan = path.with_suffix(".plan")
    return name, plan, engine.build(path, plan, [profile])


def plans(options, profile):
    """Returns each variant's plan, or why there is none."""
    graph = onnx.load(options.folder / "shared:default.onnx", load_external_data=False)
    found = {}
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = {}
        for name, chosen in VARIANTS.items():
            path = options.folder / f"text-{name.replace(' ', '-')}.onnx"
            onnx.save(widened(graph, chosen), path)
            waiting[pool.submit(build, (name, path, profile))] = name
        for job in as_completed(waiting):
            try:
                _, found[waiting[job]], seconds = job.result()
                print(f"built {waiting[job]}: {seconds:.0f} s", file=sys.stderr, flush=True)
            except Exception as error:
                print(f"could not build {waiting[job]}: {error}", file=sys.stderr, flush=True)
    return {name: found[name] for name in VARIANTS if name in found}


def main():
    options = arguments()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_grad_enabled(False)
    checkpoint = options.folder / "weights.safetensors"
    weights = load_weights(checkpoint, "cuda", torch.float16)
    unet = UNet(weights, "sdpa")
    case = measure.inputs(unet, 2, options.size)
    built = plans(options, builds.profile(case, [2] * 3, [options.size] * 2 + [options.open_to or options.size]))
    text = case["encoder_hidden_states"]
    cases = {factor: case | {"encoder_hidden_states": text * factor} for factor in options.factors}
    references = measure.references(checkpoint, cases)
    binding = json.loads((options.folder / "shared:default.binding.json").read_text())["inputs"]
    filled = bindings.fill(binding, weights)
    runners, errors = {PYTORCH: unet}, {}
    for name, plan in built.items():
        try:
            runners[name] = engine.Engine(plan, filled)
        except Exception as error:
            print(f"could not load {name}: {error}", file=sys.stderr, flush=True)
    for name, run in list(runners.items()):
        try:
            errors[name] = [measure.first_call(run, cases[f], references[f])["error"] for f in options.factors]
            print(f"{name}: {errors[name]}", file=sys.stderr, flush=True)
        except Exception as error:
            print(f"could not run {name}: {error}", file=sys.stderr, flush=True)
            del runners[name]
    times = measure.latencies(runners, case, options.seconds)
    print(f"{torch.cuda.get_device_name()}, TensorRT-RTX {engine.VERSION}, PyTorch {torch.__version__}, "
          f"{options.folder.name}, {options.size}{f' to {options.open_to}' if options.open_to else ''}, batch 2\n")
    heads = [f"text × {factor} | × PyTorch fp16's" for factor in options.factors]
    print(f"| also summed in fp32 | {' | '.join(heads)} | ms | × default |\n|---|{'--:|' * (2 * len(heads) + 2)}")
    for name, of in errors.items():
        cells = [f"{error:.1e} | {error / own:.1f}" for error, own in zip(of, errors[PYTORCH])]
        print(f"| {name} | {' | '.join(cells)} | {times[name]:.2f} | {times[name] / times.get(DEFAULT, 1):.3f} |")


if __name__ == "__main__":
    main()
