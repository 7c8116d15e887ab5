#!/usr/bin/env bash
# TensorRT-RTX 1.7.1.116: naming an old compute capability beside newer ones takes kernels from the newer.
#
# One would expect a plan for several compute capabilities to hold each one's own kernels, or those that all can
# run as a fallback. But the fused attention of a plan for 8.9 alone, or for 8.0 to 12.1, is written with Ampere's
# matrix instructions, and as soon as 7.5 is named too, with Turing's, once, for all of them. No GPU is needed to
# see it: a plan holds these kernels as text. On an H200 with 1.6.1.120 a whole UNet took 10.05 ms a call with 7.5
# named and 9.61 ms without.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
  tensorrt-rtx-cu12-libs==1.7.1.116 tensorrt-rtx-cu12-bindings==1.7.1.116 onnx==1.23.2 numpy==2.3.4
libraries=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/tensorrt_rtx_libs
LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$work/venv/bin/python" - <<'PYTHON'
import re

import numpy as np
import onnx
import tensorrt_rtx_bindings as trt
from onnx import TensorProto, helper, numpy_helper

HALF, HEADS, WIDTH = TensorProto.FLOAT16, 8, 40


def attention():
    """Softmax of the scores times the values, [batch, positions, channels] in fp16 in and out."""
    node = lambda op, ins, out, **attributes: helper.make_node(op, ins, [out], name=out, **attributes)
    nodes = [node("Reshape", [x, "split"], f"{x}4") for x in "qkv"]
    nodes += [
        node("Transpose", ["q4"], "qt", perm=[0, 2, 1, 3]),
        node("Transpose", ["k4"], "kt", perm=[0, 2, 3, 1]),
        node("Transpose", ["v4"], "vt", perm=[0, 2, 1, 3]),
        node("Mul", ["qt", "scale"], "qs"),
        node("MatMul", ["qs", "kt"], "scores"),
        node("Softmax", ["scores"], "shares", axis=-1),
        node("MatMul", ["shares", "vt"], "mixed"),
        node("Transpose", ["mixed"], "back", perm=[0, 2, 1, 3]),
        node("Reshape", ["back", "join"], "out"),
    ]
    constants = {
        "split": np.array([0, -1, HEADS, WIDTH], np.int64),
        "join": np.array([0, -1, HEADS * WIDTH], np.int64),
        "scale": np.float16(WIDTH**-0.5),
    }
    shape = [2, 1024, HEADS * WIDTH]
    value = lambda name: helper.make_tensor_value_info(name, HALF, shape)
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "attention", [value(x) for x in "qkv"], [value("out")], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def instructions(model, capabilities):
    """Whose matrix instructions the plan's fused attention is written with."""
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << 0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model.SerializeToString()), parser.get_error(0).desc()
    config = builder.create_builder_config()
    config.num_compute_capabilities = len(capabilities)
    for number, name in enumerate(capabilities):
        config.set_compute_capability(getattr(trt.ComputeCapability, name), number)
    plan = bytes(builder.build_serialized_network(network, config)).decode("latin-1")
    return sorted(set(re.findall(r"fmha::(Ampere|Turing)_hmma", plan)))


print("TensorRT-RTX", trt.__version__)
model, newer = attention(), ["SM80", "SM86", "SM89", "SM120", "SM121"]
for capabilities, expected in (
    (["SM89"], ["Ampere"]),
    (newer, ["Ampere"]),
    (["SM75"], ["Turing"]),
    (["SM75", "SM89"], ["Turing"]),
    (["SM75", *newer], ["Turing"]),
):
    found = instructions(model, capabilities)
    print(f"{' '.join(capabilities):40} {found}")
    assert found == expected, f"expected {expected}"
PYTHON
echo "as described"
