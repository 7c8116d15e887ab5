"""Checks golden checkpoints as fp16 engines on an NVIDIA GPU, including hard inputs and overflowing attention.

Compares engines of each fixture's graph, with the weights as inputs, and PyTorch in fp16 with the expected
outputs. Fails if an engine exceeds the bound. Needs torch with CUDA, safetensors, tensorrt-rtx-cu12-bindings, and
the example `forms` of the crate `unet`:

    cargo build --release -p unet --example forms
    bench/golden_engines.py FORMS hard overflow overflow-scaled
"""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import bindings
import engine
import goldens
from measure import relative_error
from unet import UNet, load_weights

# The largest relative error of an engine's output.
TOLERANCE = 2e-2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("program", type=Path, metavar="FORMS", help="the example forms, built")
    add("names", nargs="*", metavar="NAME", help="fixtures; by default all")
    add("--forms", default="default", help="names joined by commas")
    add("--build-only", action="store_true", help="do not run the engines: needs no GPU")
    add("--compute-capability", action="append", default=[], help="8.9 or current; by default the library chooses")
    return parser.parse_args()


def profile(cases):
    """Returns the min, opt and max shape of each input over some cases."""
    shapes = {name: [tuple(case[name].shape) for case in cases] for name in cases[0]}
    bound = lambda sizes, which: tuple(map(which, zip(*sizes)))
    return {name: (bound(sizes, min), sizes[0], bound(sizes, max)) for name, sizes in shapes.items()}


def narrow(case):
    """Converts inputs to the engines' types."""
    return {name: (t if name == "timesteps" else t.half()).cuda() for name, t in case.items()}


def graphs(options, manifest, folder):
    """Writes the checkpoint and its forms' graphs into a folder. Returns each form's file."""
    checkpoint = folder / "weights.safetensors"
    save_file(goldens.weights(manifest), checkpoint, metadata={"format": "pt"})
    names = [f"shared:{form}" for form in options.forms.split(",")]
    subprocess.run([options.program, checkpoint, folder, *names], check=True, stdout=subprocess.DEVNULL)
    return {name: folder / f"{name}.onnx" for name in names}


def errors(run, manifest, expected):
    """Yields each case's relative error where the fixture has values; NaN if any value is not finite."""
    for number, case in enumerate(goldens.inputs(manifest)):
        latent = run(**narrow(case)).float().cpu()
        if not latent.isfinite().all():
            yield float("nan")
        else:
            yield relative_error(goldens.kept(manifest, number, latent), expected[number])


def check(options, path, folder):
    """Prints the errors of one fixture. Returns whether those of all engines are within the bound."""
    manifest = json.loads(path.read_text())
    shapes = profile(list(goldens.inputs(manifest)))
    plans = {}
    for name, onnx in graphs(options, manifest, folder).items():
        plans[name] = onnx.with_suffix(".plan")
        engine.build(onnx, plans[name], [shapes], options.compute_capability)
    if options.build_only:
        print(f"| {path.stem} | built | {', '.join(plans)} |")
        return True
    expected = goldens.outputs_to_expect(manifest)
    weights = load_weights(folder / "weights.safetensors", "cuda", torch.float16)
    runners = {"PyTorch fp16": UNet(weights, "sdpa")}
    for name, plan in plans.items():
        binding = json.loads((folder / f"{name}.binding.json").read_text())["inputs"]
        runners[name] = engine.Engine(plan, bindings.fill(binding, weights))
    good = True
    for name, run in runners.items():
        found = list(errors(run, manifest, expected))
        print(f"| {path.stem} | {name} | {', '.join(f'{error:.1e}' for error in found)} |", flush=True)
        # NaN is within no bound.
        good &= name not in plans or all(error <= TOLERANCE for error in found)
    return good


def main():
    options = arguments()
    torch.set_grad_enabled(False)
    if not options.build_only:
        print(f"{torch.cuda.get_device_name()}, TensorRT-RTX {engine.VERSION}, PyTorch {torch.__version__}\n")
    print("| golden | what | error of each case |\n|---|---|---|")
    bad = []
    for path in sorted(goldens.FIXTURES.glob("*.json")):
        if options.names and path.stem not in options.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            if not check(options, path, Path(folder)):
                bad.append(path.stem)
    if bad:
        raise SystemExit(f"above {TOLERANCE:g}: {', '.join(bad)}")


if __name__ == "__main__":
    main()
