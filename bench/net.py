"""Measures what it costs to check each of an engine's outputs before it is used, on an NVIDIA GPU.

First, several ways to find a value that is not finite: whether each finds all, and milliseconds per check,
including the wait that it ends with, on an idle GPU and behind a call that is still running. Then milliseconds per
step of a sampler like A1111 1.10's Euler a, which never waits, and of one that waits in each step, as 1.6 to 1.9
do: without checks, with each output checked at once, and with the check read at the next call. There, a call is a
sleep of the GPU, and between two calls the CPU is busy, in place of the Python code that is not in the sampler
here. Needs only torch with CUDA.
"""
import argparse
import math
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "webui"))

from sdtrt.look import Look

# Pixels per latent position, in each direction.
PIXELS = 8
BATCH, TOKENS, WIDTH = 2, 77, 768
STEPS = 20

CHECKS = {
    "tensor.norm(inf)": lambda latent: math.isfinite(latent.norm(math.inf).item()),
    "linalg.vector_norm(inf)": lambda latent: math.isfinite(torch.linalg.vector_norm(latent, math.inf).item()),
    "abs().amax()": lambda latent: math.isfinite(latent.abs().amax().item()),
    "aminmax()": lambda latent: all(map(math.isfinite, torch.stack(latent.aminmax()).tolist())),
    "isfinite().all()": lambda latent: latent.isfinite().all().item(),
    "sum in fp32": lambda latent: math.isfinite(latent.sum(dtype=torch.float32).item()),
    "(latent - latent).any()": lambda latent: not (latent - latent).any().item(),
}
USED = "tensor.norm(inf)"


def finds_all(check):
    """Whether a check finds non-finite values anywhere, and accepts the largest finite ones."""
    for side in (64, 256):
        latent = torch.full((BATCH, 4, side, side), torch.finfo(torch.float16).max, dtype=torch.float16, device="cuda")
        if not check(latent) or not check(-latent):
            return False
        for place in (0, 1, 31, 32, latent.numel() // 2 + 5, latent.numel() - 1):
            for value in (math.nan, math.inf, -math.inf):
                spoilt = torch.randn_like(latent)
                spoilt.view(-1)[place] = value
                if check(spoilt):
                    return False
    return True


def milliseconds(run, count, before=lambda: None):
    """Returns the median milliseconds of `count` calls, each with its wait, on an idle GPU or behind the work that
    `before` enqueues."""
    times = []
    for _ in range(count):
        torch.cuda.synchronize()
        before()
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[count // 10 :])


def cycles(count=100_000_000):
    """Returns the GPU's sleep cycles per millisecond."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(count)
    begin.record()
    torch.cuda._sleep(count)
    end.record()
    end.synchronize()
    return round(count / begin.elapsed_time(end))


def alone(sizes, count, of_a_ms):
    """Yields rows with the cost of each check on its own."""
    before = lambda: torch.cuda._sleep(of_a_ms)
    waiting = milliseconds(torch.cuda.synchronize, count, before)
    for name, check in CHECKS.items():
        cells = []
        for pixels in sizes:
            side = pixels // PIXELS
            latent = torch.randn(BATCH, 4, side, side, device="cuda").half()
            run = lambda: check(latent)
            cells += [milliseconds(run, count), milliseconds(run, count, before) - waiting]
        yield [name, "yes" if finds_all(check) else "NO", *(f"{cell:.4f}" for cell in cells)]


class Sampler:
    """About as many kernels between two calls as in A1111 1.10: its denoiser with guidance, k-diffusion's wrapper,
    and Euler a with sigmas on the CPU."""

    def __init__(self, pixels, pause):
        self.pause = pause
        side = pixels // PIXELS
        self.x = torch.randn(1, 4, side, side, device="cuda")
        self.ladder = torch.linspace(-3.5, 2.7, 1000, device="cuda")
        self.sigmas = torch.cat([torch.linspace(14.6, 0.03, STEPS), torch.zeros(1)])
        self.text = [torch.randn(TOKENS, WIDTH, device="cuda") for _ in range(2)]
        self.beside = torch.zeros(1, 5, 1, 1, device="cuda")
        self.latent = torch.randn(BATCH, 4, side, side, device="cuda").half()

    def run(self, call, look):
        x, ones = self.x * self.sigmas[0], self.x.new_ones([1])
        for sigma, following in pairwise(self.sigmas):
            denoised = self.denoised(x, sigma * ones, call, look)
            up = min(following, (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5)
            down = (following**2 - up**2) ** 0.5
            x = x + (x - denoised) / sigma * (down - sigma)
            if following > 0:
                x = x + torch.stack([torch.randn(x.shape[1:], device="cuda")]) * 1.0 * up
        return x

    def denoised(self, x, sigma, call, look):
        texts = [torch.zeros(1, *text.shape, device="cuda") for text in self.text]
        for whole, text in zip(texts, self.text):
            whole[0] = text
        twice = lambda tensor: torch.cat([torch.stack([tensor[0]]), tensor])
        both, sigmas, _ = map(twice, (x, sigma, self.beside))
        out, scale = (each[:, None, None, None] for each in (-sigmas, 1 / (sigmas**2 + 1) ** 0.5))
        inputs = (both * scale).half(), self.step(sigmas).half(), torch.cat(texts).half()
        latent = call(*inputs)
        look(inputs[0], latent)
        busy(self.pause)
        found = both + latent * out
        guided = found[1:].clone()
        guided[0] += (found[0] - guided[0]) * 7.0
        # For previews.
        for tensor in (both, found, both, guided):
            torch.cat([tensor[:1]])
        return guided

    def step(self, sigmas):
        logs = sigmas.log()
        low = (logs - self.ladder[:, None]).ge(0).cumsum(dim=0).argmax(dim=0).clamp(max=998)
        lower, upper = self.ladder[low], self.ladder[low + 1]
        share = ((lower - logs) / (lower - upper)).clamp(0, 1)
        return (1 - share) * low + share * (low + 1)


def busy(milliseconds):
    """Keeps Python busy, but not the GPU."""
    end = time.perf_counter() + milliseconds / 1e3
    while time.perf_counter() < end:
        pass


class Later:
    """Checks each output when the next call comes, as the extension does."""

    def __init__(self):
        self.last = None

    def read(self):
        last, self.last = self.last, None
        return last is None or all(last.read())

    def __call__(self, *tensors):
        self.last = Look(*tensors)


def passes(sizes, lengths, pause, turns, of_a_ms):
    """Yields rows of milliseconds per step, without checks and with them, alternating."""
    first, check, later = (lambda latent: torch.isnan(latent[0, 0, 0, 0]).item()), CHECKS[USED], Later()
    kinds = (lambda sample, latent: None), (lambda sample, latent: check(latent)), later
    for pixels in sizes:
        sampler = Sampler(pixels, pause)
        for length in lengths:
            def call(*inputs):
                later.read()
                torch.cuda._sleep(round(length * of_a_ms))
                return sampler.latent.clone()

            for waits in (False, True):
                times = [[] for _ in kinds]
                for _ in range(turns + 1):
                    for kind, of in zip(kinds, times):
                        look = (lambda *both, kind=kind: (kind(*both), first(both[1]))) if waits else kind
                        torch.cuda.synchronize()
                        start = time.perf_counter()
                        sampler.run(call, look)
                        later.read()
                        torch.cuda.synchronize()
                        of.append((time.perf_counter() - start) * 1e3 / STEPS)
                # The first ones don't count.
                cells = [statistics.median(of[1:]) for of in times]
                name = "a wait" if waits else "no wait"
                yield [str(pixels), f"{length:g}", name, *(f"{cell:.3f}" for cell in cells)]


def table(head, rows):
    """Prints Markdown, each row once it is computed."""
    print("|", " | ".join(head), "|\n|", " | ".join(["---"] + ["--:"] * (len(head) - 1)), "|", flush=True)
    for row in rows:
        print("|", " | ".join(row), "|", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    numbers = lambda of: lambda text: [of(number) for number in text.split(",")]
    parser.add_argument("--sizes", type=numbers(int), default=[512, 1024, 2048], help="pixels, joined by commas")
    parser.add_argument("--calls", type=numbers(float), default=[4, 9, 15], help="milliseconds per call")
    parser.add_argument("--pause", type=float, default=1.5, help="milliseconds of Python between two calls")
    parser.add_argument("--count", type=int, default=500, help="checks of each kind")
    parser.add_argument("--turns", type=int, default=10, help="passes of each kind")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU here")
    of_a_ms = cycles()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, batch {BATCH}, fp16\n")
    columns = [f"{pixels}, {how}" for pixels in options.sizes for how in ("idle", "behind a call")]
    with torch.no_grad():
        table(["ms a look", "finds all", *columns], alone(options.sizes, options.count, of_a_ms))
        print(f"\nms a step, with {USED} and {options.pause:g} ms of Python between two calls\n")
        head = ["pixels", "ms of a call", "the web UI has", "not looked", "looked at once", "a call later"]
        table(head, passes(options.sizes, options.calls, options.pause, options.turns, of_a_ms))


if __name__ == "__main__":
    main()
