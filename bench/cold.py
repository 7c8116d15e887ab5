"""Measures how soon a fresh machine has engines that another one has built, when both share a store.

One daemon builds the engines of a full-size SD 1.5 with random weights and adds them to a store. Then fresh ones with
empty folders run beside it, one after the other, and the same file is moved into the models folder of each. Prints a
table of when the first engine was published and when all were, from the moment at which the file was there, and one of
what each object takes in the store. Half a second of each time is `settle_seconds`, which is 3 by default.

Needs a folder with TensorRT-RTX's libraries, 6 GB of disk, and two minutes of a machine that does nothing else, as
engines are built at idle priority. Needs no GPU; with one, validations are waited for too:

    cargo build --release --workspace && python3 bench/cold.py target/release --tensorrt-dir DIR
"""
import argparse
import json
import os
import sys
import time
from pathlib import Path

import machines

SETTLE = 0.5
# Until a daemon has found TensorRT.
START_LIMIT = 60
# Between two questions to a machine that builds, and to one that fetches.
SLOW, FAST = 0.5, 0.02


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    machines.add_arguments(parser)
    parser.add_argument("--tensorrt-dir", type=Path, required=True, help="the folder of the libraries")
    parser.add_argument("--fresh", type=int, default=3, help="how many fresh machines, one after the other")
    parser.add_argument("--limit", type=float, default=900, help="seconds for one machine until the run is given up")
    return parser.parse_args()


class Drop:
    """A checkpoint moved into a machine's models folder, and what became of it."""

    def __init__(self, machine, checkpoint):
        machines.until(lambda: (machine.ask("status") or {}).get("runtime"), START_LIMIT, FAST)
        aside = machine.home / checkpoint.name
        os.link(checkpoint, aside)
        self.machine, self.first, self.all, self.engines = machine, None, None, 0
        self.start = time.monotonic()
        aside.rename(machine.models / checkpoint.name)

    def look(self):
        """Whether nothing is left to do."""
        known, now = self.machine.ask("list"), time.monotonic() - self.start
        # After the list: before the file is seen, nothing is left to do either.
        status = self.machine.ask("status")
        if not (known and status):
            return False
        self.engines = len(known["engines"])
        if self.engines and self.first is None:
            self.first = now
        ready = [of["state"] for of in known["checkpoints"]] == ["ready"]
        if ready and not status["building"] and not status["queue"]:
            self.all = now
        return self.all is not None

    def watch(self, limit, every):
        machines.until(self.look, limit, every)
        print(f"{self.machine.home.name}: {self.engines} engines after {self.all:.2f} s", file=sys.stderr)
        return self


def start(site, options, name):
    return site.start(name, settle_seconds=SETTLE, tensorrt_dir=str(options.tensorrt_dir.resolve()))


def objects(site, pattern):
    return [path.stat().st_size for path in (site.store / "v1").glob(pattern)]


def is_all_added(site, engines):
    return len(objects(site, "engines/*.sealed")) >= engines and objects(site, "contents/*.sealed")


def span(sizes, unit):
    """Formats sizes in bytes as the smallest and the largest."""
    digits = int(max(sizes) < 10 * unit)
    ends = dict.fromkeys(f"{size / unit:.{digits}f}" for size in (min(sizes), max(sizes)))
    return " to ".join(ends)


def tell_times(drops):
    machines.table(f"SD 1.5 dropped in; {machines.host()}", "first engine", "all", "engines", "taken")
    for drop in drops:
        taken = drop.machine.ask("status")["store"]["engines_taken"]
        cells = f"{drop.first:.2f} s", f"{drop.all:.2f} s", str(drop.engines), str(taken)
        machines.row(drop.machine.home.name, *cells)


def tell_sizes(site, builder):
    manifests = [json.loads(path.read_text()) for path in builder.home.glob("data/engines/*.json")]
    machines.table("in the store", "objects", "KB each")
    plans = f"plans of {span([manifest['bytes'] for manifest in manifests], 1e6)} MB, packed"
    kinds = {plans: "blobs/*.zst", "engines' signed manifests": "engines/*.sealed"}
    for what, pattern in (kinds | {"what a file's content is": "contents/*.sealed"}).items():
        sizes = objects(site, pattern)
        machines.row(what, str(len(sizes)), span(sizes, 1e3))


def main():
    options = arguments()
    with machines.site(options) as site:
        checkpoint = site.folder / "sd15.safetensors"
        site.golden(checkpoint, "--full-size", "sd15")
        builder = start(site, options, "builder")
        drops = [Drop(builder, checkpoint).watch(options.limit, SLOW)]
        machines.until(lambda: is_all_added(site, drops[0].engines), options.limit, SLOW)
        for number in range(options.fresh):
            fresh = start(site, options, f"fresh-{number + 1}")
            drops.append(Drop(fresh, checkpoint).watch(options.limit, FAST))
        tell_times(drops)
        tell_sizes(site, builder)


if __name__ == "__main__":
    main()
