"""How long TensorRT-RTX takes to fill a shared engine with weights, and whether it matters where they lie.

PLAN is a shared engine as sdtrtd publishes it (`engines/KEY.engine` in its data folder, `KEY.constants` beside
it), CHECKPOINT a .safetensors of its architecture. Needs torch with CUDA, safetensors and
tensorrt-rtx-cu12-bindings.
"""
import argparse
import time
from pathlib import Path

import tensorrt_rtx_bindings as trt
import torch
from safetensors import safe_open

from engine import LOGGER, TYPES

PLACES = {"cpu": trt.TensorLocation.HOST, "cuda": trt.TensorLocation.DEVICE}
# What is tried: where the weights lie, and what the refitter is told.
VARIANTS = {
    "as they are mapped": ("cpu", {}),
    "16 threads": ("cpu", {"max_threads": 16}),
    "numbers not checked": ("cpu", {"weights_validation": False}),
    "on the GPU": ("cuda", {}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("plan", type=Path, metavar="PLAN")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    engine = trt.Runtime(LOGGER).deserialize_cuda_engine(options.plan.read_bytes())
    paths = (options.plan.with_suffix(".constants"), options.checkpoint)
    files = [safe_open(str(path), "pt", device="cpu") for path in paths]
    file_of = {name: file for file in files for name in file.keys()}
    print("| weights | brought there | filled |\n| --- | --: | --: |")
    for _ in range(options.turns):
        for name, (place, settings) in VARIANTS.items():
            brought, filled = fill(engine, file_of, place, settings)
            print(f"| {name} | {brought:.2f} s | {filled:.2f} s |", flush=True)


def fill(engine, file_of, place, settings):
    """Seconds for having the weights at their place, and for the rest."""
    torch.cuda.synchronize()
    start = time.monotonic()
    refitter = trt.Refitter(engine, LOGGER)
    for setting, value in settings.items():
        setattr(refitter, setting, value)
    tensors = {}
    for name in refitter.get_all_weights():
        dtype = refitter.get_weights_prototype(name).dtype
        tensor = file_of[name].get_tensor(name).to(TYPES[dtype]).contiguous()
        tensors[name] = dtype, tensor.to(place)
    torch.cuda.synchronize()
    brought = time.monotonic()
    for name, (dtype, tensor) in tensors.items():
        weights = trt.Weights(dtype, tensor.data_ptr(), tensor.numel())
        assert refitter.set_named_weights(name, weights, PLACES[place]), name
    assert refitter.refit_cuda_engine(), "TensorRT-RTX does not take the weights"
    return brought - start, time.monotonic() - brought


if __name__ == "__main__":
    main()
