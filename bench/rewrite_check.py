"""Compares rewritten graphs with the one they were made of, in ONNX Runtime on the CPU: `rewrite_check.py FOLDER
REWRITING…`. FOLDER has unet.onnx and unet.binding.json, as `sdtrtctl export --weights-as-inputs` writes them, of a
small checkpoint. Prints the relative difference of each; all are of the size of fp16's rounding."""
import copy
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from rewrite import rewrite

LATENTS = [(2, 16, 16), (1, 8, 24)]
TOKENS = 77


def values(binding, model, batch, height, width):
    """Returns random weights, small enough for fp16, and inputs of the size."""
    random = np.random.default_rng(0)
    weights = {}
    for bound in binding:
        shape = bound["shape"]
        near = 1 if len(shape) == 1 and ".weight" in bound["name"] else 0
        size = 0.1 if len(shape) == 1 else np.prod(shape[1:]) ** -0.5
        weights[bound["name"]] = (near + size * random.standard_normal(shape)).astype(np.float16)
    context = next(i for i in model.graph.input if i.name == "encoder_hidden_states").type.tensor_type.shape.dim[2]
    channels = next(i for i in model.graph.input if i.name == "sample").type.tensor_type.shape.dim[1]
    inputs = {
        "sample": random.standard_normal((batch, channels.dim_value, height, width)).astype(np.float16),
        "timesteps": np.full(batch, 500.25, np.float32),
        "encoder_hidden_states": random.standard_normal((batch, TOKENS, context.dim_value)).astype(np.float16),
    }
    return weights | inputs


def part(weight, number, parts):
    axis = weight.ndim - 1 if weight.shape[-1] > 1 else 1
    return np.split(weight, parts, axis)[number]


def run(model, inputs, outputs=("latent",)):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(list(outputs), {each.name: inputs[each.name] for each in session.get_inputs()})


def main():
    folder = Path(sys.argv[1])
    binding = json.loads((folder / "unet.binding.json").read_text())["inputs"]
    base = onnx.load(folder / "unet.onnx")
    for names in sys.argv[2:]:
        found = []
        for size in LATENTS:
            inputs = values(binding, base, *size)
            rewriting = rewrite(copy.deepcopy(base), names)
            whole = copy.deepcopy(base)
            given = [name for name, *_ in rewriting.given]
            whole.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in given)
            expected, *beside = run(whole, inputs, ["latent", *given])
            inputs |= dict(zip(given, beside))
            inputs |= {name: part(inputs[of], *which) for name, (of, *which) in rewriting.cut.items()}
            latent = run(rewriting.model, inputs)[0].astype(np.float64)
            found.append(np.linalg.norm(latent - expected) / np.linalg.norm(expected.astype(np.float64)))
        nodes = len(rewriting.model.graph.node)
        print(f"{names:40} {nodes:5} nodes  " + "  ".join(f"{each:.1e}" for each in found), flush=True)


if __name__ == "__main__":
    main()
