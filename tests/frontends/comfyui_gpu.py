"""The parts of the check in which PyTorch and engines compute beside each other, all in one server."""
import json
import re
import statistics
import struct
import sys
from pathlib import Path
from typing import NamedTuple

import lora_files
from comfyui_beside import Beside
from comfyui_jobs import all_jobs, larger_jobs, lora_jobs, plain_job, random_jobs, timed_jobs
from comfyui_server import files_of, prepare, started

PROFILE = Path(__file__).with_name("comfyui_profile.py")
# What its console says of how it computes.
ABOUT = re.compile(r"attention|device:|vram|(pytorch|python|comfy-aimdo|comfy-kitchen) version|dtype|cast", re.I)


def run(options, folder, models, parts):
    """Runs parts, all of them though one fails."""
    usual, larger = kinds_of(models)
    own, loras = folder / "models", []
    own.mkdir()
    for path in models.iterdir():
        if path.name != "loras":
            (own / path.name).symlink_to(path)
    (own / "loras").mkdir()
    if {"loras", "random"} & {*parts}:
        loras = lora_files.write_all(own / "loras", models / "checkpoints" / usual[0])
    for path in (models / "loras").glob("*.safetensors"):
        if not (own / "loras" / path.name).exists():
            (own / "loras" / path.name).symlink_to(path)
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
        if "larger" in parts and not larger:
            print("not run without a checkpoint of SDXL: larger")
        elif "larger" in parts:
            beside.check_all("SDXL", larger_jobs(options, larger[0], usual[0]))
        if "random" in parts:
            beside.check_all("random", random_jobs(options, usual, loras), options.seconds, twice=False)
        if "times" in parts:
            times(options, beside, usual[0], larger[0] if larger else None)
    if beside.failures:
        sys.exit("\n".join(["", *beside.failures]))


def kinds_of(models):
    """Returns the names of the checkpoints of SD 1.5 and of SDXL."""
    kinds = [], []
    for name in files_of(models)[0]:
        with open(models / "checkpoints" / name, "rb") as file:
            header = json.loads(file.read(*struct.unpack("<Q", file.read(8))))
        kinds[f"{lora_files.PREFIX}label_emb.0.0.weight" in header].append(name)
    return kinds


class Timed(NamedTuple):
    rates: tuple
    seconds: float


def times(options, beside, usual, larger):
    """Prints what jobs take with PyTorch and with engines, in turn, as medians."""
    card = beside.server.get("/system_stats")["devices"][0]["name"]
    print(f"== times, {card}, {options.steps} steps of Euler, {' '.join(options.argument) or 'no flags'}")
    print("| job | steps a second: PyTorch | engine | | whole job: PyTorch | engine | |\n| --- | --- | --- | --- | --- "
          "| --- | --- |", flush=True)
    for name, job in timed_jobs(options, usual, larger):
        for with_node in (False, True, True):
            warm = beside.make(job, with_node)
        found = {False: [], True: []}
        for number in range(options.rounds):
            for with_node in found:
                made = beside.make(job | {"seed": number}, with_node)
                found[with_node].append(Timed(tuple(made.rates), beside.server.seconds))
        seconds = [statistics.median(each.seconds for each in found[way]) for way in found]
        rates = [[statistics.median(of) for of in zip(*(each.rates for each in found[way]), strict=True)]
                 for way in found]
        both = [", ".join(f"{rate:.1f}" for rate in each) for each in rates]
        gains = ", ".join(f"{mine / theirs:.2f} ×" for theirs, mine in zip(*rates, strict=True))
        print(f"| {name} | {both[0]} | {both[1]} | {gains} | {seconds[0]:.2f} s | {seconds[1]:.2f} s | "
              f"{seconds[0] / seconds[1]:.2f} × |", *warm.lines, flush=True)
    for what in ("Python", "GPU"):
        made = beside.make(plain_job(options, usual) | {"profile": what}, False)
        print(f"== PyTorch's job, profiled ({what})\n{made.text}", flush=True)
