"""Runs parts of a UNet as engines on an NVIDIA GPU: how accurately TensorRT-RTX computes which operators, and how
a feed-forward block must be written for its biases to be kept.

Prints each part's relative error and PyTorch fp16's, both against PyTorch fp32. Needs torch with CUDA, onnx and
tensorrt-rtx-cu12-bindings.
"""
import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

import engine
from measure import relative_error

ROWS, WIDTH = 8192, 320
random = np.random.default_rng(0)
node = helper.make_node


def weight(*shape, scale=None):
    """Returns fp16 values that keep the magnitude of what they are multiplied with."""
    scale = scale or 1 / math.sqrt(math.prod(shape[1:]))
    return (random.standard_normal(shape) * scale).astype(np.float16)


class Part:
    """Operators from `x` to `latent`, their weights, and the same in PyTorch: a function of `x` and the weights by
    name, all of one type."""

    def __init__(self, name, shape, nodes, weights, compute):
        self.name, self.shape, self.nodes = name, shape, nodes
        self.weights, self.compute = weights, compute

    def torch(self, x):
        weights = {n: torch.tensor(w).cuda().to(x.dtype) for n, w in self.weights.items()}
        return self.compute(x, **weights)

    def build(self, folder, compute_capabilities):
        """Builds its engine for the batch in its shape and for twice that."""
        used = {name for each in self.nodes for name in each.input}
        weights = (self.weights | CONSTANTS).items()
        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT16, None)
        graph = helper.make_graph(
            self.nodes,
            "part",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["count", *self.shape[1:]])],
            [value("latent")],
            [numpy_helper.from_array(array, name) for name, array in weights if name in used],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
        model.ir_version = 10
        path = folder / f"{self.name}.onnx"
        onnx.save(model, path)
        twice = (2 * self.shape[0], *self.shape[1:])
        profile = {"x": [self.shape, self.shape, twice]}
        engine.build(path, path.with_suffix(".plan"), [profile], compute_capabilities)
        return path.with_suffix(".plan")


def convolution(inputs, outputs, side):
    nodes = [node("Conv", ["x", "w", "b"], ["latent"], pads=[1] * 4)]
    weights = {"w": weight(outputs, inputs, 3, 3), "b": weight(outputs, scale=0.5)}
    compute = lambda x, w, b: F.conv2d(x, w, b, padding=1)
    return Part(f"convolution of {inputs} at {side}", (2, inputs, side, side), nodes, weights, compute)


def linear(rows, inputs, outputs):
    nodes = [node("Gemm", ["x", "w", "b"], ["latent"], transB=1)]
    weights = {"w": weight(outputs, inputs), "b": weight(outputs, scale=0.5)}
    compute = lambda x, w, b: F.linear(x, w, b)
    return Part(f"linear layer of {inputs}", (rows, inputs), nodes, weights, compute)


def attention(positions, width):
    nodes = [
        node("Mul", ["x", "scale"], ["q"]),
        node("Transpose", ["x"], ["k"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q", "k"], ["scores"]),
        node("Softmax", ["scores"], ["shares"], axis=-1),
        node("MatMul", ["shares", "x"], ["latent"]),
    ]
    scale = np.array(width**-0.5, np.float16)
    compute = lambda x, scale: ((x * scale) @ x.transpose(-1, -2)).softmax(-1) @ x
    return Part(f"attention over {positions}", (2, 8, positions, width), nodes, {"scale": scale}, compute)


CONSTANTS = {"root": np.array(2**-0.5, np.float16), "one": np.array(1, np.float16), "half": np.array(0.5, np.float16)}
INNER = [node("Gemm", ["n", "w0", "b0"], ["both"], transB=1)]
ADDED = [node("Gemm", ["n", "w0"], ["product"], transB=1), node("Add", ["product", "b0"], ["both"])]
SUMMED = [
    node("Cast", ["n"], ["n32"], to=TensorProto.FLOAT),
    node("Cast", ["w0"], ["w32"], to=TensorProto.FLOAT),
    node("Gemm", ["n32", "w32"], ["product32"], transB=1),
    node("Cast", ["product32"], ["product"], to=TensorProto.FLOAT16),
    node("Add", ["product", "b0"], ["both"]),
]
SPLIT = [node("Split", ["both"], ["value", "gate"], axis=1, num_outputs=2)]
HALVES = [
    node("Split", ["w0"], ["wv", "wg"], axis=0, num_outputs=2),
    node("Split", ["b0"], ["bv", "bg"], axis=0, num_outputs=2),
    node("Gemm", ["n", "wv", "bv"], ["value"], transB=1),
    node("Gemm", ["n", "wg", "bg"], ["gate"], transB=1),
]
GELU = [node("Gelu", ["gate"], ["active"])]
ERF = [
    node("Mul", ["gate", "root"], ["scaled"]),
    node("Erf", ["scaled"], ["erf"]),
    node("Add", ["erf", "one"], ["sum"]),
    node("Mul", ["gate", "half"], ["halved"]),
    node("Mul", ["halved", "sum"], ["active"]),
]
GELU_FP32 = [
    node("Cast", ["gate"], ["gate32"], to=TensorProto.FLOAT),
    node("Gelu", ["gate32"], ["active32"]),
    node("Cast", ["active32"], ["active"], to=TensorProto.FLOAT16),
]


def feed_forward(name, *middle):
    """Returns a transformer block's feed-forward half with these operators from `n` to `value` and `active`."""
    before = [node("LayerNormalization", ["x", "lw", "lb"], ["n"], axis=-1, epsilon=1e-5)]
    after = [
        node("Mul", ["value", "active"], ["gated"]),
        node("Gemm", ["gated", "w2", "b2"], ["out"], transB=1),
        node("Add", ["out", "x"], ["latent"]),
    ]
    weights = {"lw": weight(WIDTH, scale=0.1) + np.float16(1), "lb": weight(WIDTH, scale=0.1)}
    weights |= {"w0": weight(8 * WIDTH, WIDTH), "b0": weight(8 * WIDTH, scale=0.3)}
    weights |= {"w2": weight(WIDTH, 4 * WIDTH), "b2": weight(WIDTH, scale=0.3)}

    def compute(x, lw, lb, w0, b0, w2, b2):
        value, gate = F.linear(F.layer_norm(x, [WIDTH], lw, lb), w0, b0).chunk(2, -1)
        return F.linear(value * F.gelu(gate), w2, b2) + x

    return Part(f"feed-forward, {name}", (ROWS, WIDTH), before + sum(middle, []) + after, weights, compute)


PARTS = [
    *(convolution(*shape) for shape in ((320, 320, 64), (640, 640, 32), (1280, 1280, 16), (2560, 1280, 16))),
    *(linear(*shape) for shape in ((8192, 320, 2560), (2048, 640, 640), (512, 5120, 1280))),
    *(attention(*shape) for shape in ((4096, 40), (1024, 80), (256, 160))),
    feed_forward("Gemm, Gelu", INNER, SPLIT, GELU),
    feed_forward("Gemm, Erf", INNER, SPLIT, ERF),
    feed_forward("bias added after, Gelu", ADDED, SPLIT, GELU),
    feed_forward("bias added after a sum in fp32, Gelu", SUMMED, SPLIT, GELU),
    feed_forward("two Gemms, Gelu", HALVES, GELU),
    feed_forward("Gemm, Gelu in fp32", INNER, SPLIT, GELU_FP32),
    feed_forward("bias added after a sum in fp32, Gelu in fp32", SUMMED, SPLIT, GELU_FP32),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--compute-capability", action="append", default=[], help="by default the library chooses")
    parser.add_argument("--build-only", action="store_true", help="do not run the engines: needs no GPU")
    options = parser.parse_args()
    # The reference must have full precision; cuDNN's default has less.
    torch.backends.cudnn.allow_tf32 = False
    print("| part | TensorRT-RTX | PyTorch fp16 |\n| --- | --: | --: |")
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for part in PARTS:
            plan = part.build(Path(folder), options.compute_capability)
            if options.build_only:
                continue
            x = torch.randn(part.shape, device="cuda").half()
            expected = part.torch(x.float())
            errors = (relative_error(found, expected) for found in (engine.Engine(plan)(x=x), part.torch(x)))
            print(f"| {part.name} |", " | ".join(f"{error:.1e}" for error in errors), "|", flush=True)


if __name__ == "__main__":
    main()
