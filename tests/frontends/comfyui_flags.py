"""What jobs take with PyTorch alone by ComfyUI's own flags, without our node: servers that start at once and compute in
turn."""
import argparse
import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from comfyui_beside import Beside
from comfyui_gpu import kinds_of
from comfyui_jobs import plain_job
from comfyui_server import prepare, started

PROFILE = Path(__file__).with_name("comfyui_profile.py")
# What people choose from where their GPU is fast.
FLAGS = ((), ("--disable-nvml-pressure",), ("--disable-cuda-malloc",), ("--disable-dynamic-vram",),
         ("--disable-dynamic-vram", "--disable-cuda-malloc"))
PROFILED, PROFILED_STEPS = (0, 3), 4


def run(options, folder, models):
    """Prints a table, and where each server's models are, and for some where the time of a few steps goes."""
    usual, _ = kinds_of(models)
    sides = options.size, options.size * 2
    job = plain_job(options, usual[0])
    profiled = job | {"profile": "GPU", "steps": PROFILED_STEPS}
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:
            begun = pool.map(lambda number: start(stack, options, folder, models, number), range(len(FLAGS)))
            servers = list(zip((" ".join(flags) or "no flags" for flags in FLAGS), begun, strict=True))
            list(pool.map(lambda each: each[1].make(job, False), servers))
        print(f"== flags: PyTorch alone, {options.steps} steps of Euler; medians of {options.rounds} after the first\n"
              f"| flags | {' | '.join(f'steps a second at {side}' for side in sides)} |\n| --- | --- | --- |",
              flush=True)
        for name, beside in servers:
            rates = [timed(options, beside, job | {"width": side, "height": side}) for side in sides]
            print(f"| {name} | {' | '.join(f'{rate:.1f}' for rate in rates)} |", flush=True)
        for number, (name, beside) in enumerate(servers):
            print(f"== {name}", *beside.server.get("/check/memory"), sep="\n")
            if options.profile and number in PROFILED:
                print(beside.make(profiled, False).text, flush=True)


def start(stack, options, folder, models, number):
    """Starts a server with the flags of that number."""
    base = folder / f"flags {number}"
    own = argparse.Namespace(**vars(options) | {"port": options.port + number,
                                                "argument": [*options.argument, *FLAGS[number]]})
    prepare(base, models, own, False)
    (base / "custom_nodes/profile.py").symlink_to(PROFILE)
    return Beside(own, stack.enter_context(started(own, base)), base)


def timed(options, beside, job):
    """Returns the steps a second of a job."""
    rates = [beside.make(job | {"seed": number}, False).rates[0] for number in range(options.rounds + 1)]
    return statistics.median(rates[1:])
