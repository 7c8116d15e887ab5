"""Measures errors and latencies of anything that is called like the UNet, on a GPU."""
import statistics
import time

import torch

from unet import UNet, load_weights

# Pixels per latent position, in each direction.
PIXELS = 8
TOKENS = 77
# Each runner is timed in several turns, so that a drift of the clocks affects all alike.
TURNS = 5
WARM_UP = 0.3


def inputs(unet, batch, pixels, device="cuda"):
    """Returns inputs for the UNet, fp16 except for the timesteps; the same at every call."""
    generator = torch.Generator().manual_seed(pixels)
    random = lambda *shape: torch.randn(shape, generator=generator).to(device, torch.float16)
    latent = pixels // PIXELS
    case = {
        "sample": random(batch, unet.input_blocks[0][0].in_channels, latent, latent),
        "timesteps": torch.full((batch,), 500.25, device=device),
        "encoder_hidden_states": random(batch, TOKENS, unet.context_width),
    }
    if hasattr(unet, "label_emb"):
        case["y"] = random(batch, unet.label_emb[0][0].in_features)
    return case


def references(checkpoint, cases):
    """Returns the UNet's outputs in fp32, by the inputs' keys."""
    unet = UNet(load_weights(checkpoint, "cuda", torch.float32), "sdpa")
    wide = lambda case: {name: tensor.float() for name, tensor in case.items()}
    return {key: unet(**wide(case)) for key, case in cases.items()}


def relative_error(found, expected):
    """‖found − expected‖ / ‖expected‖; NaN if any value is."""
    expected = expected.double()
    return ((found.double() - expected).norm() / expected.norm()).item()


def psnr(found, reference):
    """20 log10(peak / root mean square difference) in dB, where the peak is the reference's range: its maximum
    minus its minimum. −∞ if any value is not finite."""
    if not (found.isfinite().all() and reference.isfinite().all()):
        return float("-inf")
    found, reference = found.double(), reference.double()
    peak = reference.max() - reference.min()
    return (20 * torch.log10(peak / (found - reference).square().mean().sqrt())).item()


class Captured:
    """The UNet with these inputs as a CUDA graph: PyTorch's time when the CPU does not delay it."""

    def __init__(self, unet, case):
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            unet(**case)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.latent = unet(**case)

    def __call__(self, **_):
        self.graph.replay()
        return self.latent


def first_call(run, case, reference):
    """Returns the seconds of the first call, including compilation, and the error of its output."""
    start = time.monotonic()
    latent = run(**case)
    torch.cuda.synchronize()
    return {"first": time.monotonic() - start, "error": relative_error(latent, reference)}


def latencies(runners, case, seconds):
    """Returns each runner's median latency in milliseconds, measured for about this many seconds each."""
    calls = {name: warm_up(run, case, seconds) for name, run in runners.items()}
    times = {name: [] for name in runners}
    for _ in range(TURNS):
        for name, run in runners.items():
            times[name] += timed(run, case, calls[name])
    return {name: statistics.median(of) for name, of in times.items()}


def warm_up(run, case, seconds):
    """Calls it until it is warm. Returns how many calls make up a turn."""
    count, start = 0, time.monotonic()
    while count < 3 or time.monotonic() - start < WARM_UP:
        run(**case)
        torch.cuda.synchronize()
        count += 1
    each = (time.monotonic() - start) / count
    return max(3, min(100, round(seconds / TURNS / each)))


def timed(run, case, count):
    """Returns the milliseconds of `count` calls on the GPU; the first call after a change is not timed."""
    run(**case)
    events = []
    for _ in range(count):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run(**case)
        end.record()
        events.append((begin, end))
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) for begin, end in events]
