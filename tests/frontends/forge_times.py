"""What jobs take in a web UI of Forge's family, by PyTorch and by engines, in turn in one server."""
import fcntl
import subprocess
import time
from contextlib import contextmanager
from typing import NamedTuple

from control import ask_controlnet
from forge_control import unit
from forge_jobs import NEVER, known, small
from pictures import Made, is_same
from server import Refused

# Steps of the jobs that are timed: what more of them take longer tells how many there are in a second.
STEPS, MORE = 20, 40
TIMES = 2
CARD = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
WAYS = {"PyTorch": NEVER, "engine": "automatic"}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.6,
         "hr_second_pass_steps": STEPS // 2}


class Measured(NamedTuple):
    """Of one job: the seconds of the first time and of the quickest after it, steps a second, and what was made."""

    first: float
    seconds: float
    rate: float | None
    made: Made


@contextmanager
def alone(file):
    """Waits until no other check measures times; each has the file open."""
    if file is None:
        yield
        return
    with open(file, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def jobs(kind, server, titles, large):
    """Yields a name, the body, and whether steps are counted. `titles` are those of SD 1.5, `large` those of SDXL."""
    net = next(name for name in ask_controlnet(server) if name.startswith("control-a"))

    def job(title, size, **changes):
        body = small(width=size, height=size, steps=STEPS, override_settings={"sd_model_checkpoint": title},
                     override_settings_restore_afterwards=False)
        return known(kind, body | changes)

    for size in (512, 768, 1024):
        yield f"SD 1.5, {size}×{size}", job(titles[0], size), True
    scripts = {"ControlNet": {"args": [unit(net)]}}
    yield "SD 1.5, 512×512, one control net", job(titles[0], 512, alwayson_scripts=scripts), True
    for size in (512, 768):
        yield f"SD 1.5, hires {size} → {2 * size}", job(titles[0], size, **HIRES), False
    for title in large[:1]:
        yield "SDXL, 1024×1024", job(title, 1024), True


def measure(server, choose, jobs, seconds):
    """Yields lines of a table in Markdown. `choose` changes a setting; no job begins after this many seconds."""
    yield f"{card()}; {STEPS} steps of Euler, hires half as many; the least of {TIMES} after the first"
    yield "| job | steps a second, PyTorch → engine | | seconds, PyTorch → engine | | first time | by | alike |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    end = time.monotonic() + seconds
    for job, body, is_counted in jobs:
        if time.monotonic() > end:
            yield f"| {job} | not measured: the time was up | | | | | | |"
            continue
        try:
            found = {}
            for way, choice in WAYS.items():
                choose(server, {"sdtrt_engine": choice})
                found[way] = measured(server, body, is_counted)
        except Refused as why:
            yield f"| {job} | {why} | | | | | | |"
            continue
        yield row(job, *found.values())


def measured(server, body, is_counted):
    first, _ = timed(server, body)
    least, made = min((timed(server, body) for _ in range(TIMES)), key=lambda each: each[0])
    rate = None
    if is_counted:
        most = min(timed(server, body | {"steps": MORE})[0] for _ in range(TIMES))
        rate = (MORE - STEPS) / max(most - least, 1e-9)
    return Measured(first, least, rate, made)


def row(job, torch, engine):
    by = "engine" if engine.made.is_served else "PyTorch"
    if engine.made.by_pytorch:
        by += f"{' and PyTorch' * engine.made.is_served}: {'; '.join(dict.fromkeys(engine.made.by_pytorch))}"
    rates = f"{torch.rate:.1f} → {engine.rate:.1f} | {engine.rate / torch.rate:.2f} ×" if torch.rate else "– |"
    _, told = is_same(torch.made, engine.made, exactly=False)
    return (f"| {job} | {rates} | {torch.seconds:.2f} → {engine.seconds:.2f} | {torch.seconds / engine.seconds:.2f} × "
            f"| {torch.first:.1f} → {engine.first:.1f} | {by} | {told} |")


def card():
    """Returns the GPU's name and its driver's version."""
    try:
        return subprocess.run(CARD, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as problem:
        return f"a GPU ({problem})"


def timed(server, body):
    """Returns the seconds of a job, and what was made."""
    before = len(server.lines())
    begin = time.monotonic()
    files = server.images("txt2img", body)
    return time.monotonic() - begin, Made(files, server.lines()[before:])
