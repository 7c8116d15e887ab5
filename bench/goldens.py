"""Golden checkpoints: `goldens.py check` compares the UNet with every fixture in tests/fixtures, and `goldens.py
make` writes those of variants.py: manifests and expected outputs.

Every value comes from a generator that the crate `goldens` implements too; the two share only its definition.
Needs torch, numpy and safetensors.

A manifest may have `factors`: powers of two for tensors, by the suffix of their names. In a case, besides shapes
and timesteps, `input` names the kind of its latents (samples.py), and only every `every`-th row and column of the
output is stored, to keep fixtures small.
"""
import argparse
import hashlib
import json
import math
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file, save_file

from measure import relative_error
from samples import sample
from unet import PREFIX, UNet
from variants import VARIANTS

FIXTURES = Path(__file__).parent.parent / "tests/fixtures"
# The expected outputs: a tensor for each fixture and case.
EXPECTED = FIXTURES / "expected.safetensors"
DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
# For the UNet here against the stored outputs, both in fp32.
TOLERANCE = 1e-5


def uniform(seed, name, shape):
    """Returns values in [−1, 1), each computed from its index: splitmix64's finalizer, with the FNV-1a hash of the
    seed and the name as its state."""
    state = 0xCBF29CE484222325
    for byte in f"{seed}:{name}".encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    index = numpy.arange(1, math.prod(shape) + 1, dtype=numpy.uint64)
    z = numpy.uint64(state) + index * numpy.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> numpy.uint64(shift))) * numpy.uint64(factor)
    z ^= z >> numpy.uint64(31)
    # The top 24 bits are exact in fp32.
    values = (z >> numpy.uint64(40)).astype(numpy.float32) * numpy.float32(2**-23) - numpy.float32(1)
    return torch.from_numpy(values.reshape(shape))


def weight(manifest, name, shape):
    values = uniform(manifest["seed"], name, shape)
    if len(shape) > 1:
        values = values * (3**0.5 * 1.2 / math.prod(shape[1:]) ** 0.5)
    elif name.endswith(".weight"):
        values = values * 0.17 + 1
    else:
        values = values * 0.09
    for end, factor in manifest.get("factors", {}).items():
        if name.endswith(end):
            values = values * factor
    return values.to(DTYPES[manifest["dtype"]])


def weights(manifest):
    return {name: weight(manifest, name, shape) for name, shape in manifest["tensors"]}


def digest(tensors):
    """Returns the SHA-256 of all bytes, in name order."""
    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        sha256.update(tensors[name].view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


def inputs(manifest):
    """Yields the inputs of each case, by name."""
    for number, case in enumerate(manifest["cases"]):
        yield {name: value(manifest, number, name) for name in case if name not in ("input", "every")}


def value(manifest, number, name):
    """Returns one input of a case."""
    case = manifest["cases"][number]
    if name == "timesteps":
        return torch.tensor(case[name], dtype=torch.float32)

    def noise(more, shape):
        at = ".".join(filter(None, ["case", str(number), name, more]))
        return uniform(manifest["seed"], at, shape) * 3**0.5

    return sample(case.get("input") if name == "sample" else None, noise, case[name])


def kept(manifest, number, latent):
    """Returns the part of a case's output that its fixture has."""
    every = manifest["cases"][number].get("every", 1)
    return latent[..., ::every, ::every].contiguous()


def outputs(manifest, tensors):
    """Yields the UNet's output for each case, in fp32 with the weights as stored."""
    unet = network(tensors, torch.float32)
    return [unet(**case) for case in inputs(manifest)]


def network(tensors, dtype):
    return UNet({n[len(PREFIX):]: t.to(dtype) for n, t in tensors.items() if n.startswith(PREFIX)})


def overflows(manifest, tensors):
    """Whether the first case is not finite in fp16 if scores are in fp16 too."""
    case = next(inputs(manifest))
    halves = {name: t if name == "timesteps" else t.half() for name, t in case.items()}
    return not network(tensors, torch.float16)(**halves).isfinite().any()


def outputs_to_expect(manifest):
    """Returns the expected output of each case, in order."""
    expected = load_file(EXPECTED)
    return [expected[f"{manifest['name']}.{number}.latent"] for number in range(len(manifest["cases"]))]


def check(path):
    manifest = json.loads(path.read_text())
    tensors = weights(manifest)
    assert digest(tensors) == manifest["sha256"], f"{path}: other values than the generator's"
    expected = outputs_to_expect(manifest)
    for number, found in enumerate(outputs(manifest, tensors)):
        error = relative_error(kept(manifest, number, found), expected[number])
        print(f"{manifest['name']} case {number}: {error:.1e}")
        assert error <= TOLERANCE, f"{path}: case {number}"
    if path.stem.startswith("overflow"):
        assert overflows(manifest, tensors), f"{path}: fp16 has all of its scores"


def make(variant):
    manifest = variant.manifest()
    tensors = weights(manifest)
    manifest["sha256"] = digest(tensors)
    latents = enumerate(outputs(manifest, tensors))
    made = {f"{variant.name}.{number}.latent": kept(manifest, number, latent) for number, latent in latents}
    others = {name: t for name, t in load_file(EXPECTED).items() if name.split(".")[0] != variant.name}
    (FIXTURES / f"{variant.name}.json").write_text(json.dumps(manifest, separators=(",", ":")))
    save_file(others | made, EXPECTED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["check", "make"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    options = parser.parse_args()
    chosen = lambda name: not options.names or name in options.names
    if options.what == "make":
        for variant in VARIANTS:
            if chosen(variant.name):
                make(variant)
    for path in sorted(FIXTURES.glob("*.json")):
        if chosen(path.stem):
            check(path)
