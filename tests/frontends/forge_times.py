"""What jobs take in a web UI of Forge's family, by PyTorch and by engines, in turn in one server."""
import json
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from control import ask_controlnet
from forge_control import unit
from forge_jobs import NEVER, known, small
from pictures import Made, is_same
from server import Refused

# Steps of the jobs that are timed, and how often each is after the second time, which measures an engine.
STEPS, TIMES = 20, 2
# Says where the time of a job goes.
CLOCK = Path(__file__).parent / "forge_clock"
CARD = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
WAYS = {"PyTorch": NEVER, "engine": "automatic"}
HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.6,
         "hr_second_pass_steps": STEPS // 2}


class Measured(NamedTuple):
    """Of one job: the seconds of the first time and of the quickest after the second, what was made, and where the time
    of the first, of the quickest and of the slowest went."""

    first: float
    seconds: float
    made: Made
    clocks: list

    @property
    def rates(self):
        """Steps a second, of each pass."""
        return [1000 / each for each in self.clocks[1]["step"].values()]


def jobs(kind, server, titles, large):
    """Yields a name and the body. `titles` are those of SD 1.5, `large` those of SDXL."""
    net = next(name for name in ask_controlnet(server) if name.startswith("control-a"))

    def job(title, size, **changes):
        body = small(width=size, height=size, steps=STEPS, override_settings={"sd_model_checkpoint": title},
                     override_settings_restore_afterwards=False)
        return known(kind, body | changes)

    # The most telling first: the time may be short.
    yield "SD 1.5, 1024×1024", job(titles[0], 1024)
    scripts = {"ControlNet": {"args": [unit(net)]}}
    yield "SD 1.5, 512×512, one control net", job(titles[0], 512, alwayson_scripts=scripts)
    yield "SD 1.5, hires 512 → 1024", job(titles[0], 512, **HIRES)
    for title in large[:1]:
        yield "SDXL, 1024×1024", job(title, 1024)
    yield "SD 1.5, hires 768 → 1536", job(titles[0], 768, **HIRES)
    for size in (768, 512):
        yield f"SD 1.5, {size}×{size}", job(titles[0], size)


def measure(server, choose, jobs, seconds):
    """Yields lines of a table in Markdown, each with where the time went. `choose` changes a setting; no job begins
    after this many seconds."""
    yield f"{card()}; {STEPS} steps of Euler, hires half as many; the least of {TIMES} after the first two"
    yield "| job | steps a second, PyTorch → engine | | seconds, PyTorch → engine | | first time | by | alike |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    end = time.monotonic() + seconds
    for job, body in jobs:
        if time.monotonic() > end:
            yield f"| {job} | not measured: the time was up | | | | | | |"
            continue
        try:
            found = {}
            for way, choice in WAYS.items():
                choose(server, {"sdtrt_engine": choice})
                found[way] = measured(server, body)
        except Refused as why:
            yield f"| {job} | {why} | | | | | | |"
            continue
        yield row(job, *found.values())
        names = ("first", "quickest", "slowest")
        for way, each in found.items():
            yield from (f"  ms: {way}, {name}: {clock}" for name, clock in zip(names, each.clocks, strict=True))


def measured(server, body):
    first = timed(server, body)
    timed(server, body)
    later = sorted((timed(server, body) for _ in range(TIMES)), key=lambda each: each[0])
    seconds, made, _ = later[0]
    return Measured(first[0], seconds, made, [first[2], later[0][2], later[-1][2]])


def row(job, torch, engine):
    by = "engine" if engine.made.is_served else "PyTorch"
    if engine.made.by_pytorch:
        by += f"{' and PyTorch' * engine.made.is_served}: {'; '.join(dict.fromkeys(engine.made.by_pytorch))}"
    rates = ", ".join(f"{one:.1f} → {other:.1f}" for one, other in zip(torch.rates, engine.rates, strict=True))
    gains = ", ".join(f"{other / one:.2f} ×" for one, other in zip(torch.rates, engine.rates, strict=True))
    _, told = is_same(torch.made, engine.made, exactly=False)
    return (f"| {job} | {rates} | {gains} | {torch.seconds:.2f} → {engine.seconds:.2f} "
            f"| {torch.seconds / engine.seconds:.2f} × | {torch.first:.1f} → {engine.first:.1f} | {by} | {told} |")


def card():
    """Returns the GPU's name and its driver's version."""
    try:
        return subprocess.run(CARD, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as problem:
        return f"a GPU ({problem})"


def timed(server, body):
    """Returns the seconds of a job, what was made, and where its time went."""
    before = len(server.lines())
    begin = time.monotonic()
    files = server.images("txt2img", body)
    seconds = time.monotonic() - begin
    return seconds, Made(files, server.lines()[before:]), clock(server)


def clock(server):
    """Returns what the extension `forge_clock` has said of the last job."""
    text = server.log.read_text("utf-8", errors="replace").replace("\r", "\n")
    last = [line for line in text.splitlines() if line.startswith("clock: ")][-1]
    return json.loads(last.removeprefix("clock: "))
