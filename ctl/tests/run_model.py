"""Opens a model as people do, and runs it: `run_model.py MODEL INPUTS [CHECKPOINT BINDING]`.

INPUTS has each input's shape and values as JSON. Weights that are inputs are taken from the safetensors file
CHECKPOINT as BINDING says. Prints the output's shape and values.
"""

import json
import sys
from pathlib import Path

import ml_dtypes
import numpy
import onnx
import onnxruntime

TYPES = {
    "F32": numpy.float32,
    "F16": numpy.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F64": numpy.float64,
}
PREFIX = "model.diffusion_model."


def tensors(path):
    """A safetensors file's tensors by name, in fp32."""
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    found = {}
    for name, about in json.loads(data[8:start]).items():
        if name != "__metadata__":
            begin, end = (start + at for at in about["data_offsets"])
            values = numpy.frombuffer(data[begin:end], TYPES[about["dtype"]])
            found[name] = values.astype(numpy.float32).reshape(about["shape"])
    return found


def weights(checkpoint, binding):
    found = tensors(checkpoint)
    for bound in binding["inputs"]:
        value = numpy.concatenate([found[PREFIX + part] for part in bound["parts"]])
        if bound["layout"] == "ohwi":
            value = value.transpose(0, 2, 3, 1)
        assert list(value.shape) == bound["shape"], bound["name"]
        yield bound["name"], value


model, inputs, *rest = sys.argv[1:]
onnx.checker.check_model(model, full_check=True)
onnx.load(model)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
given = {}
for name, about in json.loads(Path(inputs).read_text()).items():
    given[name] = numpy.array(about["values"]).reshape(about["shape"])
if rest:
    checkpoint, binding = rest
    given.update(weights(checkpoint, json.loads(Path(binding).read_text())))
types = {"tensor(float)": numpy.float32, "tensor(float16)": numpy.float16}
given = {found.name: given[found.name].astype(types[found.type]) for found in session.get_inputs()}
(latent,) = session.run(None, given)
sys.stdout.write(json.dumps({"shape": latent.shape, "values": latent.astype(float).ravel().tolist()}))
