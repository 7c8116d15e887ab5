"""Measures what an engine's error amounts to in an image: 20 steps of three samplers with guidance, by a shared
engine, by PyTorch fp16 and by PyTorch fp32 from the same noise, and the difference between the final latents.

FOLDER is the same as shared.py's, of SD 1.5's kind. Each size is sampled from noise (`base`) and, if its shorter
side is at least 1.25 × 512, as in A1111's hires fix: a base of half the size, at least 512, its latents enlarged,
noise for a denoising strength of 0.6, and the last 20 of 33 steps. Each runner computes the whole trajectory.

A UNet with random weights is not a denoiser. If its output were taken as noise, as SD 1.5's is, it would drive the
latents to 25 times their usual deviation, unlike any image. So it is taken as velocity: then the UNet's input, y =
x / √(σ² + 1), changes by its output times the change of arctan σ, 1.5 in total; its deviation stays near 1 as in
real images, and the errors of all steps add up. Prompt and negative prompt are random, but share 99 % of their
variance: with less, guidance turns any difference into another image, and the PSNR means nothing. `--prediction
eps` takes the output as noise.

PSNR is 20 log10(peak / root mean square difference) of the final latents, where the peak is the reference's range:
its maximum minus its minimum. Results are kept in FOLDER/trajectories and not computed again, so a call that ran
out of --minutes can be repeated for the rest. Needs the same as shared.py.
"""
import argparse
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

import builds
import engine
import measure
import samplers
from unet import UNet, load_weights

STEPS = 20
# Levels of A1111's hires fix, of which only the last STEPS are used.
HIRES_STEPS = int(STEPS / 0.6)
LEAST, MOST = 512, 2048
ENGINE, HALF, FULL = "engine", "PyTorch fp16", "PyTorch fp32"
COMMON = 0.99


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("--sizes", type=builds.sizes, help="pixels, HEIGHTxWIDTH where they differ",
        default=builds.sizes("512,520x776,768,1024,1000x1400,1536,1792,1920,2048"))
    add("--seeds", type=int, default=3, help="number of seeds")
    add("--samplers", type=lambda text: text.split(","), default=list(samplers.SAMPLERS), help="joined by commas")
    add("--prediction", choices=["v", "eps"], default="v")
    add("--exact", type=int, default=1024, help="longest side at which all seeds are sampled in fp32 too")
    add("--minutes", type=float, default=9, help="start nothing new after this time; includes builds")
    add("--form", default="default", help="the engine's form")
    add("--plan", type=Path, help="a shared engine for batch 2 and all sizes; by default one is built")
    return parser.parse_args()


def base_of(size):
    """Returns the size of the base pass of a hires fix to this size, or None if it is too small for one."""
    scale = min(2, min(size) / LEAST)
    side = lambda pixels: round(pixels / measure.PIXELS / scale) * measure.PIXELS
    return tuple(map(side, size)) if scale >= 1.25 else None


class Lab:
    """Runners by name, and each one's final latents."""

    def __init__(self, options):
        self.options = options
        checkpoint = options.folder / "weights.safetensors"
        half = load_weights(checkpoint, "cuda", torch.float16)
        unet = UNet(half, "sdpa")
        sides = [LEAST, MOST, *(side for size in options.sizes for side in size)]
        pixels = [min(sides), min(sides), max(sides)]
        case = measure.inputs(unet, 2, LEAST)
        shared = builds.open_engine(options.folder, options.form, half, case, [2] * 3, pixels, options.plan)
        full = UNet(load_weights(checkpoint, "cuda", torch.float32), "sdpa")
        self.runners = {ENGINE: (shared, torch.float16), HALF: (unet, torch.float16), FULL: (full, torch.float32)}
        random = torch.Generator().manual_seed(0)
        text, common = (torch.randn(n, measure.TOKENS, unet.context_width, generator=random) for n in (2, 1))
        self.text = (COMMON**0.5 * common + (1 - COMMON) ** 0.5 * text).cuda()
        self.kept = options.folder / "trajectories"
        self.kept.mkdir(exist_ok=True)

    def path(self, size, hires, sampler, seed, runner):
        name = engine_name(self.options) if runner == ENGINE else runner
        size = "x".join(map(str, size)) + ("-hires" if hires else "")
        return self.kept / f"{self.options.prediction} {size} {sampler} {seed} {name}.pt"

    def final(self, *what):
        """Returns one trajectory's final latents, [1, 4, height, width] in fp32 on the CPU; samples them if
        needed."""
        path = self.path(*what)
        if not path.exists():
            start = time.monotonic()
            latents = self.sample(*what).cpu()
            torch.save(latents, path)
            print(f"{path.stem}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        return torch.load(path)

    def sample(self, size, hires, sampler, seed, runner):
        # On the CPU, so that the noise is the same on every GPU.
        random = torch.Generator().manual_seed(2 * seed + hires)
        shape = [side // measure.PIXELS for side in size]
        noise = lambda: torch.randn(1, 4, *shape, generator=random).cuda()
        sample, schedule = samplers.SAMPLERS[sampler]
        levels, x = schedule(STEPS), 0
        if hires:
            levels = schedule(HIRES_STEPS)[-STEPS - 1:]
            base = self.final(base_of(size), False, sampler, seed, runner)
            x = F.interpolate(base.cuda(), size=shape, mode="bilinear")
        run, dtype = self.runners[runner]
        model = samplers.Guided(run, self.text, dtype, self.options.prediction)
        return sample(model, x + noise() * levels[0], levels, noise)


def engine_name(options):
    """Returns the engine's name in the names of result files."""
    return options.plan.stem if options.plan else f"{options.form} {engine.VERSION}"


def jobs(options):
    """Returns what to sample, (size, hires, sampler, seed, runner), the most informative first."""
    bounded = lambda size: max(size) <= options.exact
    passes = [(size, hires) for size in options.sizes for hires in (False, True) if not hires or base_of(size)]
    for rounds in ([0], range(1, options.seeds)):
        everything = [(*of, sampler, seed) for seed in rounds for of in passes for sampler in options.samplers]
        yield from ((*of, runner) for of in everything for runner in (HALF, ENGINE))
        yield from ((*of, FULL) for of in everything if bounded(of[0]))
    yield from ((*of, sampler, 0, FULL) for of in passes if not bounded(of[0]) for sampler in options.samplers)


def table(lab):
    options = lab.options
    print(f"{torch.cuda.get_device_name()}, TensorRT-RTX {engine.VERSION}, PyTorch {torch.__version__}, "
          f"{options.folder.name}, {engine_name(options)}, {options.prediction}\n")
    print("PSNR in dB, lowest over seeds (how many).\n")
    print("| size | pass | sampler | engine – PyTorch fp16 | PyTorch fp16 – fp32 | engine – fp32 | not finite |")
    print("|---|---|---|--:|--:|--:|---|")
    every = list(jobs(options))
    for of in dict.fromkeys(job[:3] for job in every):
        there = {job[3:]: lab.path(*job) for job in every if job[:3] == of}
        found, cells = {key: torch.load(path) for key, path in there.items() if path.exists()}, []
        for one, reference in ((ENGINE, HALF), (HALF, FULL), (ENGINE, FULL)):
            both = [seed for seed in range(options.seeds) if {(seed, one), (seed, reference)} <= found.keys()]
            values = [measure.psnr(found[seed, one], found[seed, reference]) for seed in both]
            cells.append(f"{min(values):.1f} ({len(values)})" if values else "")
        broken = [f"{runner}, seed {seed}" for (seed, runner), x in found.items() if not x.isfinite().all()]
        (height, width), hires, sampler = of
        print(f"| {height}×{width} | {'hires' if hires else 'base'} | {sampler} |", " | ".join(cells),
              f"| {'; '.join(broken)} |")
    left_out = sum(not lab.path(*job).exists() for job in every)
    print(f"\n{left_out} of {len(every)} trajectories not sampled for lack of time", flush=True)


def main():
    options = arguments()
    start = time.monotonic()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_grad_enabled(False)
    lab = Lab(options)
    for job in jobs(options):
        if time.monotonic() - start > 60 * options.minutes:
            break
        found, (*same, runner) = lab.final(*job), job
        if runner != HALF:
            print(f"  {measure.psnr(found, lab.final(*same, HALF)):.1f} dB beside {HALF}", file=sys.stderr, flush=True)
    lab.runners[ENGINE][0].keep()
    table(lab)


if __name__ == "__main__":
    main()
