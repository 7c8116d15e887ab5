"""Times A1111's web UI with PyTorch and with engines, in one run: a table for a machine that nobody else uses."""
import json
import re
import shutil
import statistics
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import NamedTuple

import control
from jobs import COMMON
from pictures import Made, alike
from server import Refused
from together import alone

STEPS, TIMED = 20, 2
# Jobs before that: the first loads the engine, the second measures it beside PyTorch.
WARM = 2
# A progress bar's first state, and the rate that it ends with; not the one of all passes.
BEGIN = re.compile(r"^(?!Total).*\b0%\|")
BAR = re.compile(r"^(?!Total).*100%\|[^|]*\|[^|]*?([\d.]+)(it/s|s/it)\]")


class Timed(NamedTuple):
    """Of one job, done some times."""

    # Seconds of the first time, and the median of the others.
    first: float
    seconds: float
    # Steps a second of each of its passes.
    rates: list
    made: Made


def run(check):
    """Prints the table. `check` is a1111's."""
    controlnet, added = check.options.controlnet, {}
    nets = check.folder / "nets"
    if controlnet is not None:
        checkpoint = min(file for file in check.checkpoints.glob("*.safetensors") if not is_sdxl(file))
        subprocess.run([check.options.python, control.NETS, checkpoint, nets], check=True)
        check.flags += ["--controlnet-dir", nets]
        # It writes beside itself.
        added = {"sd-webui-controlnet": check.folder / "sd-webui-controlnet", "zz-small": control.SMALL}
        shutil.copytree(controlnet, added["sd-webui-controlnet"])
    told = f"{STEPS} steps of Euler, hires half as many; medians of {TIMED} after the first {WARM}"
    print(f"\n{machine(check.options.python)}; {told}\n")
    print("| job | steps a second, PyTorch → engine | | seconds, PyTorch → engine | | first time | by | alike |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with check.started("times", check.ours | added) as server:
        names = [each["title"] for each in server.ask("sd-models")]
        large = [name for name in names if is_sdxl(check.checkpoints / name.partition(" [")[0])]
        small = next(name for name in names if name not in large)
        # The web UI may still load its first.
        server.images("txt2img", COMMON)
        jobs = all_jobs(small, large[0] if large else None, first_net(server) if added else None)
        with alone(check.options.alone):
            for name, body in filter(check.wanted, jobs):
                try:
                    problem = row(name, *(timed(server, unet, body) for unet in ("None", "Automatic")))
                except Refused as why:
                    problem = str(why)
                if problem is not None:
                    check.failures.append(f"{name}: {problem}")


def all_jobs(small, large, net):
    """Yields the name and body of each job: by a checkpoint of SD 1.x, and one of SDXL and a control net if they are
    there."""

    def job(checkpoint, side, **changes):
        settings = {"override_settings": {"sd_model_checkpoint": checkpoint},
                    "override_settings_restore_afterwards": False}
        return COMMON | settings | {"width": side, "height": side, "steps": STEPS} | changes

    hires = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": STEPS // 2, "hr_upscaler": "Latent",
             "denoising_strength": 0.6}
    for side in (512, 768, 1024):
        yield f"SD 1.5, {side}×{side}", job(small, side)
    if net is not None:
        scripts = {"controlnet": {"args": [control.unit(net)]}}
        yield "SD 1.5, 512×512, one control net", job(small, 512, alwayson_scripts=scripts)
    for side in (512, 768):
        yield f"SD 1.5, hires {side} → {2 * side}", job(small, side, **hires)
    if large is not None:
        yield "SDXL, 1024×1024", job(large, 1024)


def timed(server, unet, body):
    """Does a job some times, with one setting of `SD Unet`."""
    # What loading the checkpoint takes is no part of the first job.
    chosen = body["override_settings"]["sd_model_checkpoint"]
    server.ask("options", {"sd_unet": unet, "sd_model_checkpoint": chosen})
    seconds, rates = [], []
    before = len(server.lines())
    for _ in range(WARM + TIMED):
        start = server.log.stat().st_size
        begin = time.monotonic()
        files = server.images("txt2img", body)
        seconds.append(time.monotonic() - begin)
        rates.append(bars(server.log, start))
    # A pass may be without a bar.
    usual = [statistics.median(each) for each in zip(*rates[WARM:], strict=False)]
    made = Made(files[: body.get("batch_size", 1)], server.lines()[before:])
    return Timed(seconds[0], statistics.median(seconds[WARM:]), usual, made)


def bars(log, start):
    """Returns the steps a second of each pass that this part of a log tells of."""
    with open(log, "rb") as file:
        file.seek(start)
        text = file.read().decode(errors="replace")
    rates = []
    for line in re.split(r"[\r\n]|\x1b\[A", text):
        if BEGIN.match(line):
            rates.append(None)
        elif rates and (bar := BAR.match(line)):
            # It may be drawn once more when it is closed.
            rates[-1] = float(bar[1]) if bar[2] == "it/s" else 1 / float(bar[1])
    return [rate for rate in rates if rate]


def row(name, torch, engine):
    """Prints a row; returns what is not as it should be, if anything is."""
    by = "engine" if engine.made.is_served else "PyTorch"
    why = "; ".join(dict.fromkeys(engine.made.by_pytorch))
    if why and engine.made.is_served:
        by = "engine and PyTorch"
    by = f"{by}: {why}" if why else by
    rate = lambda each: " and ".join(f"{value:.1f}" for value in each.rates)
    faster = " and ".join(f"{b / a:.2f} ×" for a, b in zip(torch.rates, engine.rates, strict=False))
    same = alike(torch.made, engine.made)
    print(f"| {name} | {rate(torch)} → {rate(engine)} | {faster} | {torch.seconds:.2f} → {engine.seconds:.2f} | "
          f"{torch.seconds / engine.seconds:.2f} × | {torch.first:.1f} → {engine.first:.1f} | {by} | {same:.1f} dB |",
          flush=True)
    # Version 1.6 has engines for no SDXL.
    uncalled = any("calls no engines" in line for line in engine.made.lines)
    fine = (engine.made.is_served and not why) or engine.made.is_by_choice or uncalled
    return None if fine else by


def is_sdxl(path):
    """Whether a checkpoint is one of SDXL, by the names of its tensors."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(*struct.unpack("<Q", file.read(8))))
    except (OSError, ValueError, struct.error):
        return False
    return any(name.startswith("conditioner.embedders.1.") for name in header)


def first_net(server):
    """Returns ControlNet's name of it."""
    return next(name for name in control.ask_controlnet(server) if name.startswith("control-a"))


def machine(python):
    """Returns what it runs on, in words."""
    ask = {
        "": ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        "PyTorch ": [python, "-c", "from importlib.metadata import version; print(version('torch'))"],
    }
    told = []
    for name, command in ask.items():
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
            told.append(name + "; ".join(said.split("\n")[:-1]))
    return ", ".join(told) or sys.platform
