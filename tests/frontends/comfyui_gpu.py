"""The parts of the check in which PyTorch and engines compute beside each other, all in one server."""
import json
import re
import statistics
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import lora_files
from comfyui_beside import Beside, Made
from comfyui_jobs import (
    all_jobs,
    changed_jobs,
    larger_jobs,
    lora_jobs,
    multigpu_jobs,
    plain_job,
    random_jobs,
    timed_jobs,
)
from comfyui_server import files_of, prepare, started
from pictures import decibels
from together import alone

PROFILE = Path(__file__).with_name("comfyui_profile.py")
NETS, NET = Path(__file__).with_name("control") / "nets.py", "control-a.safetensors"
# What its console says of how it computes.
ABOUT = re.compile(r"attention|device:|vram|(pytorch|python|comfy-aimdo|comfy-kitchen) version|dtype|cast", re.I)


def run(options, folder, models, parts):
    """Runs parts, all of them though one fails."""
    usual, larger = kinds_of(models)
    own = folder / "models"
    link(models, own)
    loras = []
    if {"loras", "random", "multigpu"} & {*parts}:
        loras = lora_files.write_all(own / "loras", models / "checkpoints" / usual[0])
    if "times" in parts:
        subprocess.run([options.python, NETS, models / "checkpoints" / usual[0], own / "controlnet"], check=True)
    base = folder / "beside"
    prepare(base, own, options, True)
    (base / "custom_nodes/profile.py").symlink_to(PROFILE)
    with started(options, base) as server:
        beside = Beside(options, server, base)
        print(*(line for line in (base / "log").read_text(errors="replace").splitlines() if ABOUT.search(line)),
              sep="\n", flush=True)
        if "pictures" in parts:
            beside.check_all("pictures", all_jobs(options, usual, files_of(models)[1]))
        if "loras" in parts:
            beside.check_all("LoRAs", lora_jobs(options, usual[0], loras))
        if "changes" in parts:
            beside.check_all("changes", changed_jobs(options, usual, own / "checkpoints"))
        if "larger" in parts and not larger:
            print("not run without a checkpoint of SDXL: larger")
        elif "larger" in parts:
            beside.check_all("SDXL", larger_jobs(options, larger[0], usual[0]))
        if "multigpu" in parts and len(server.get("/system_stats")["devices"]) < 2:
            print("not run without a second GPU: MultiGPU")
        elif "multigpu" in parts:
            beside.check_all("MultiGPU", multigpu_jobs(options, usual[0], loras))
        if "random" in parts:
            beside.check_all("random", list(random_jobs(options, usual, loras))[options.part],
                             options.seconds, twice=False)
        if "times" in parts:
            with alone(options.alone):
                times(options, beside, usual[0], larger[0] if larger else None)
    if beside.failures:
        sys.exit("\n".join(["", *beside.failures]))


def link(models, own):
    """Makes a folder of models, in which files may be added and renamed."""
    for kind in {path.name for path in models.iterdir() if path.is_dir()} | {"loras", "controlnet"}:
        (own / kind).mkdir(parents=True)
        for path in (models / kind).glob("*"):
            (own / kind / path.name).symlink_to(path)


def kinds_of(models):
    """Returns the names of the checkpoints of SD 1.5 and of SDXL."""
    kinds = [], []
    for name in files_of(models)[0]:
        with open(models / "checkpoints" / name, "rb") as file:
            header = json.loads(file.read(*struct.unpack("<Q", file.read(8))))
        kinds[f"{lora_files.PREFIX}label_emb.0.0.weight" in header].append(name)
    return kinds


class Timed(NamedTuple):
    made: Made
    rates: tuple
    seconds: float


def times(options, beside, usual, larger):
    """Prints what jobs take with PyTorch and with engines, in turn, as medians."""
    card = beside.server.get("/system_stats")["devices"][0]["name"]
    print(f"== times, {card}, {options.steps} steps of Euler, {' '.join(options.argument) or 'no flags'}; medians of "
          f"{options.rounds} after the first")
    print("| job | steps a second, PyTorch → engine | | seconds, PyTorch → engine | | first time | alike | by |\n"
          "| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    memory = []
    for name, job in timed_jobs(options, usual, larger, NET):
        if options.row and not any(each in name for each in options.row):
            continue
        try:
            theirs = timed(options, beside, job, False)
            memory += [f"{name}: {each}" for each in beside.server.get("/check/memory")]
            row(name, {False: theirs, True: timed(options, beside, job, True)})
        except (AssertionError, OSError) as error:
            beside.failures.append(name)
            print(f"| {name} | {error} |", flush=True)
    print("== where the models were when PyTorch had computed", *memory, sep="\n", flush=True)
    for what in ("Python", "GPU") if options.profile else ():
        made = beside.make(plain_job(options, usual) | {"profile": what}, False)
        print(f"== PyTorch's job, profiled ({what})\n{made.text}", flush=True)


def timed(options, beside, job, with_node):
    """Does a job some times. An engine is compared with PyTorch in its first and second call, so it is done once more
    before."""
    found = []
    for number in range(-with_node, options.rounds + 1):
        made = beside.make(job | {"seed": max(0, number)}, with_node)
        found.append(Timed(made, tuple(made.rates), beside.server.seconds))
    usual = found[-options.rounds:]
    rates = tuple(statistics.median(of) for of in zip(*(each.rates for each in usual), strict=False))
    last = found[-1].made
    return found[0].seconds, Timed(last, rates, statistics.median(each.seconds for each in usual))


def row(name, found):
    """Prints a row of the table."""
    (first, theirs), (first_mine, mine) = found[False], found[True]
    alike = min(map(decibels, theirs.made.files, mine.made.files))
    told = lambda rates: ", ".join(f"{rate:.1f}" for rate in rates)
    gains = ", ".join(f"{b / a:.2f} ×" for a, b in zip(theirs.rates, mine.rates, strict=False))
    by = "engine" if mine.made.is_served else "PyTorch"
    cells = [name, f"{told(theirs.rates)} → {told(mine.rates)}", gains, f"{theirs.seconds:.2f} → {mine.seconds:.2f}",
             f"{theirs.seconds / mine.seconds:.2f} ×", f"{first:.1f} → {first_mine:.1f}", f"{alike:.1f} dB",
             "; ".join([by, *mine.made.in_torch])]
    print(f"| {' | '.join(cells)} |", flush=True)
