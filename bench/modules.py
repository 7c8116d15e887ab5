"""Finds where an engine's error comes from: the relative error after each module of a UNet, in TensorRT-RTX and in
PyTorch fp16, against PyTorch fp32.

FOLDER is the same as gpu.py's. TensorRT can't fuse an operator whose result is an output, so this engine may be
more accurate than the real one: compare the last line with gpu.py's error.
"""
import argparse
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper

import builds
import engine
import measure
from unet import UNet, load_weights

# Operators whose output is that of the module in their name.
WHOLE = ("Conv", "Gemm", "GroupNormalization", "LayerNormalization")
PIXELS = 512


def named(unet):
    """Returns the names of the modules that the graph's operators are named after."""
    return {name for name, module in unet.named_modules() if name}


def outputs(model, modules):
    """Returns the graph's values that are a PyTorch module's output, by the module's name."""
    found = {}
    for node in model.graph.node:
        module, _, operator = node.name.rpartition("/")
        # A block ends with adding its input; inside transformers, additions belong to others.
        is_block = operator == "Add" and module.count(".") <= 2 and "emb_layers" not in module
        if module in modules and (operator in WHOLE or is_block):
            found[module] = node.output[0]
    return found


def hooked(unet, case):
    """Returns each module's output by its name, and the latent."""
    given = {}
    for name, module in unet.named_modules():
        module.register_forward_hook(lambda _, __, output, name=name: given.__setitem__(name, output))
    unet(**case)
    return given


class Marked(engine.Engine):
    """An engine with additional outputs."""

    def __call__(self, **inputs):
        for name, tensor in inputs.items():
            self.context.set_input_shape(name, tuple(tensor.shape))
            self.context.set_tensor_address(name, tensor.data_ptr())
        given = {}
        for name in self.dtypes.keys() - inputs.keys():
            shape = tuple(self.context.get_tensor_shape(name))
            given[name] = torch.empty(shape, dtype=self.dtypes[name], device="cuda")
            self.context.set_tensor_address(name, given[name].data_ptr())
        if not self.context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise RuntimeError("TensorRT-RTX could not run the engine")
        return given


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--form", default="default")
    parser.add_argument("--only", default="", metavar="PREFIX", help="of the modules' names; by default all")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    with torch.no_grad():
        run(options)


def run(options):
    weights = options.folder / "weights.safetensors"
    half = UNet(load_weights(weights, "cuda", torch.float16))
    case = measure.inputs(half, 2, PIXELS)
    model = onnx.load(options.folder / f"{options.form}.onnx", load_external_data=False)
    marked = {n: o for n, o in outputs(model, named(half)).items() if n.startswith(options.only) and o != "latent"}
    for output in marked.values():
        model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT16, None))
    path = options.folder / f"{options.form}.modules.onnx"
    onnx.save(model, path)
    # Fixed to one size, it might become a different engine.
    shapes = builds.profile(case, [1, 2, 2], [PIXELS, PIXELS, PIXELS + 256])
    engine.build(path, path.with_suffix(".plan"), [shapes])
    found = Marked(path.with_suffix(".plan"))(**case)
    halves = hooked(half, case)
    full = UNet(load_weights(weights, "cuda", torch.float32))
    wholes = hooked(full, {name: tensor.float() for name, tensor in case.items()})
    print("| module | TensorRT-RTX | PyTorch fp16 |\n| --- | --: | --: |")
    for name, output in [*marked.items(), ("", "latent")]:
        whole = wholes[name]
        errors = (measure.relative_error(x.reshape(whole.shape), whole) for x in (found[output], halves[name]))
        print(f"| {name or 'latent'} |", " | ".join(f"{error:.1e}" for error in errors), "|")


if __name__ == "__main__":
    main()
