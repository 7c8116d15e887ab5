"""Measures what residuals cost and how accurate they are, on an NVIDIA GPU: an engine for ControlNet beside the engine
of the same preset, with the same weights.

DATA is one of sdtrtd's data folders, with `index.json` and engines of a preset that has `controlnet = true`;
CHECKPOINT is a .safetensors with that signature. For each pair and each size of its profiles: milliseconds a call of
the plain engine, of the one for ControlNet with residuals of zeros and of noise, and the relative errors against
PyTorch's UNet in fp32 with the same residuals. With zeros both should have the same error, and how much longer the
second takes is what one engine for everything would cost. Needs torch with CUDA, safetensors and the bindings of
TensorRT-RTX.
"""
import argparse
import sys
from functools import cache
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "webui"))

import measure
import webui_engines
from sdtrt import calls, residuals
from sdtrt.gpu import Gpu
from sdtrt.index import IndexFile
from sdtrt.packed import Read
from sdtrt.place import Place
from sdtrt.recording import added
from sdtrt.residuals import Residuals
from sdtrt.signature import Looks

# The deviation of the noise: about that of real control nets.
NOISE = 0.25


def pairs(index, signature):
    """Returns each engine for ControlNet, with the plain one of the same profiles."""
    sizes = lambda engine: [profile.sizes for profile in engine.profiles]
    for engine in index.controlled(signature):
        plain = next((each for each in index.shared(signature) if sizes(each) == sizes(engine)), None)
        if plain is not None:
            yield plain, engine


def filled(shapes, deviation, seed=0):
    generator = torch.Generator().manual_seed(seed)
    random = lambda shape: (torch.randn(shape, generator=generator) * deviation).to("cuda", torch.float16)
    return {name: random(shape) for name, shape in shapes.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("--seconds", type=float, default=2.0, help="for which each is timed")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    place = Place(options.data)
    file = IndexFile(place.index)
    file.refresh()
    unet, looks, gpu = webui_engines.torch_unet(options.checkpoint), Looks(), Gpu(place, print)
    signature = looks.at(unet).signature
    found = list(pairs(file.index, signature))
    if not found:
        raise SystemExit(f"{place.index} has no engines for ControlNet of signature {signature[:12]}: {file.problem}")
    print(f"{'':36}{'plain':>9}{'zeros':>9}{'':>8}{'noise':>9}  errors: plain, zeros, noise")
    with torch.no_grad():
        for plain, engine in found:
            for number, profile in enumerate(engine.profiles):
                for end in ("least", "usual", "most"):
                    shape = webui_engines.Shape(*(getattr(profile.sizes[name], end) for name in calls.Call._fields))
                    row(options, gpu, unet, looks, (plain, engine), number, shape)


def row(options, gpu, unet, looks, engines, number, shape):
    plain, engine = engines
    case = webui_engines.case(unet, shape)
    shapes = looks.residuals(unet, case["sample"].shape)
    zeros, noise = (case | filled(shapes, deviation) for deviation in (0, NOISE))
    serve = lambda entry: lambda **inputs: gpu.serve(entry, number, inputs, Read(unet, looks.places(unet), False, None))
    ways = {"plain": (plain, case), "zeros": (engine, zeros), "noise": (engine, noise)}
    errors, times = {}, {}
    for name, (entry, inputs) in ways.items():
        latent = serve(entry)(**inputs)
        times |= measure.latencies({name: serve(entry)}, inputs, options.seconds)
        errors[name] = measure.relative_error(latent, reference(options.checkpoint, inputs, len(shapes) - 1))
    cost = f"{(times['zeros'] / times['plain'] - 1) * 100:+.1f} %"
    told = ", ".join(f"{errors[name]:.1e}" for name in ways)
    print(f"{shape!s:36}{times['plain']:9.2f}{times['zeros']:9.2f}{cost:>8}{times['noise']:9.2f}  {told}", flush=True)


@cache
def wide(checkpoint):
    return webui_engines.torch_unet(checkpoint, torch.float32)


def reference(checkpoint, inputs, skips):
    """Returns PyTorch's output in fp32."""
    unet = wide(checkpoint)
    own = {name: tensor.float() for name, tensor in inputs.items()}
    middle = own.pop(residuals.MIDDLE, None)
    each = tuple(own.pop(residuals.SKIP.format(number), None) for number in range(skips))
    with added(unet, Residuals.of(each, middle)):
        return unet(**own)


if __name__ == "__main__":
    main()
