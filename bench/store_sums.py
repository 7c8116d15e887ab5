"""What a store spares a fleet, as sums on paper: builds, egress, time until ready. Prints Markdown tables.

Each figure below was measured (README.md, docs/engines.md, docs/store.md) or is marked as assumed. All can be changed
on the command line."""
import argparse
from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass
class Kind:
    """An engine that every machine should have, one of SD 1.5's size or one of SDXL's."""
    build: float  # seconds on two cores
    packed: float  # MB of plan and signed manifest in the store
    validation: float  # seconds of an idle GPU, mostly compiling kernels
    kernels: float  # MB of kernel cache


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    add = lambda name, default, help: parser.add_argument(f"--{name}", type=float, default=default, help=help)
    add("machines", 1000, "machines")
    add("engines", 50, "kinds × presets; half of SD 1.5's size, half of SDXL's")
    add("models", 10, "pairs of GPU model and driver among the machines (assumed)")
    add("at-once", 2, "builds at once on one machine")
    add("sd-build", 12, "seconds for a preset of SD 1.5")
    add("xl-build", 55, "seconds for a preset of SDXL")
    add("sd-packed", 0.33, "MB of SD 1.5's plan of 30 MB, packed (0.23), and its manifest (0.1)")
    add("xl-packed", 0.64, "MB of SDXL's plan of 47 MB, packed (0.39), and its manifest (0.25)")
    add("sd-validation", 40, "seconds")
    add("xl-validation", 80, "seconds (assumed: nobody timed SDXL's)")
    add("sd-kernels", 6, "MB")
    add("xl-kernels", 9, "MB")
    add("unpack", 0.1, "seconds to unpack and check a plan")
    add("trip", 0.05, "seconds for an answer from the store (assumed: the same region)")
    add("line", 100, "Mbit/s to the store for each machine (assumed)")
    add("price", 0.09, "$ per GB of egress to the internet (assumed; within a region and on a LAN it is 0)")
    add("core-price", 0.04, "$ for an hour of a core (assumed)")
    add("gpu-price", 0.5, "$ for an hour of a GPU (assumed)")
    add("checkpoints", 500, "checkpoints on the NAS")
    add("checkpoint", 4, "GB of each")
    add("nas", 1.1, "GB/s of the NAS (assumed: 10 GbE)")
    return parser.parse_args()


def time(seconds):
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.{int(seconds < 10 * unit)}f} {name}"
    return f"{seconds:.{int(seconds < 10)}f} s"


def volume(megabytes):
    for unit, name in ((1e9, "PB"), (1e6, "TB"), (1e3, "GB")):
        if megabytes >= unit:
            return f"{megabytes / unit:,.1f} {name}"
    return f"{megabytes:.1f} MB"


def fetched(a, megabytes, objects):
    """Seconds to fetch what a signed object names, and the object: two trips for each."""
    return 2 * a.trip * objects + 8 * megabytes / a.line


def rows(a):
    sd = Kind(a.sd_build, a.sd_packed, a.sd_validation, a.sd_kernels)
    xl = Kind(a.xl_build, a.xl_packed, a.xl_validation, a.xl_kernels)
    all_of = lambda what: a.engines / 2 * (what(sd) + what(xl))
    build, packed = all_of(lambda k: k.build), all_of(lambda k: k.packed)
    validation, kernels = all_of(lambda k: k.validation), all_of(lambda k: k.kernels)
    one = lambda k: fetched(a, k.packed, 1) + a.unpack
    fetch = all_of(one) / 4  # four at once
    proven = lambda k: one(k) + fetched(a, k.kernels + 0.01, 2)
    many = a.machines
    egress = lambda each: f"{volume(many * each)}, ${many * each / 1e3 * a.price:,.0f} over the internet"
    yield "builds", f"{many * a.engines:,.0f}", f"{a.engines:,.0f}, if one machine is first"
    yield "… processor, on two cores", time(many * build), time(build)
    yield "… in money", f"${many * build * 2 / HOUR * a.core_price:,.0f}", f"${build * 2 / HOUR * a.core_price:,.2f}"
    yield "egress of engines", "0", egress(packed)
    yield "kernels compiled", f"{many * a.engines:,.0f} times", f"{a.models * a.engines:,.0f} times"
    gpu = lambda times: f"{time(times * validation)}, ${times * validation / HOUR * a.gpu_price:,.0f}"
    yield "… GPUs, with the validation", gpu(many), f"{gpu(a.models)}; the rest in idle time"
    yield "egress of kernels", "0", egress(kernels)
    yield "in the store", "", f"{volume(packed + a.models * kernels)}"
    yield "one SD 1.5 engine, no GPU: ready", time(sd.build), time(one(sd))
    yield "one SDXL engine, no GPU: ready", time(xl.build), time(one(xl))
    yield "one SD 1.5 engine, known GPU: proven", time(sd.build + sd.validation), time(proven(sd))
    yield "one SDXL engine, known GPU: proven", time(xl.build + xl.validation), time(proven(xl))
    yield f"all {a.engines:.0f} engines built or fetched", time(build / a.at_once), time(fetch)
    read = a.checkpoints * a.checkpoint
    hashes = lambda times: f"{volume(times * read * 1e3)}, {time(times * read / a.nas)}"
    yield f"{a.checkpoints:.0f} checkpoints on one NAS: read for their hashes", hashes(many), hashes(1)
    yield "… by 10 machines", hashes(10), hashes(1)


def main():
    a = arguments()
    print(f"| {a.machines:,.0f} machines, {a.engines:.0f} engines each | without | with a store |\n| --- | --: | --: |")
    for row in rows(a):
        print(f"| {' | '.join(row)} |")


main()
