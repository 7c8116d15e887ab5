"""Measures a fleet on one folder: N daemons of this host, M checkpoints, one store, and nothing known at the start.

Prints a table: how many files were read whole by all daemons together, how many were taken from the store instead, when
each daemon could use all by their headers, when it had all their hashes, and whether any two disagree on an id. With
a store each file should be read once; without one there would be N × M readings.

The checkpoints are golden ones, each with other weights, and with a hole that makes them so large that they are usable
before they are hashed. Nothing is built. Times count from the start of the first daemon, and all are asked every half
second. Needs no GPU and no TensorRT, but 9 MB of disk for each checkpoint:

    cargo build --release --workspace && python3 bench/fleet.py target/release --daemons 20 --files 500
"""
import argparse
import json
import struct
import sys
import time

import machines

# A tensor that no model uses, and that takes no room on the disk. Files of up to 16 MB are read whole at once.
HOLE, HOLE_BYTES = "first_stage_model.hole", 20 << 20
# Where a file's number replaces weights, from the start and from the end of the golden's.
PLACES = (1000, -1000)
NOT_USABLE = ("settling", "identifying")
EVERY = 0.5
BYTES_READ = "sdtrtd_hashed_bytes_total"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    machines.add_arguments(parser)
    parser.add_argument("--daemons", type=int, default=20)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--limit", type=float, default=900, help="seconds until the run is given up")
    return parser.parse_args()


def write_checkpoints(site, folder, count):
    """Writes that many checkpoints, which differ in their weights alone. Returns the size of each."""
    golden = site.folder / "golden.safetensors"
    site.golden(golden, "sd1")
    content = golden.read_bytes()
    golden.unlink()
    start = 8 + int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:start]), bytearray(content[start:])
    end = len(data) + HOLE_BYTES
    header[HOLE] = {"dtype": "U8", "shape": [HOLE_BYTES], "data_offsets": [len(data), end]}
    text = json.dumps(header).encode()
    folder.mkdir()
    for number in range(count):
        for place in PLACES:
            struct.pack_into("<I", data, place % len(data), number)
        with (folder / f"{number:04}.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)
            file.truncate(8 + len(text) + end)
    return 8 + len(text) + end


class Watch:
    """When each machine could use all files by their headers, and when it had all their hashes."""

    def __init__(self, fleet, files):
        self.fleet, self.files, self.start = fleet, files, time.monotonic()
        self.usable, self.hashed, self.done = {}, {}, ""

    def look(self):
        """Whether all machines have all hashes."""
        for machine in self.fleet:
            status = machine.ask("status")
            now = time.monotonic() - self.start
            if status and is_usable(status, self.files):
                self.usable.setdefault(machine, now)
                if not status["hashing"]["files"]:
                    self.hashed.setdefault(machine, now)
        done = f"{len(self.usable)} can use all, {len(self.hashed)} have all hashes"
        if done != self.done:
            print(done, file=sys.stderr)
        self.done = done
        return len(self.hashed) == len(self.fleet)


def is_usable(status, files):
    counts = status["counts"]
    return sum(counts.values()) >= files and not any(counts.get(state) for state in NOT_USABLE)


def ids(machine):
    """Returns the weights' id by path, as this machine knows them."""
    checkpoints = machine.ask("list")["checkpoints"]
    return {path: of["weights_id"] for of in checkpoints for path in of["locations"]}


def span(times):
    first, last = min(times), max(times)
    return f"{first:.1f} to {last:.1f} s"


def tell(options, size, watch):
    fleet = watch.fleet
    stores = [machine.ask("status")["store"] for machine in fleet]
    lists = [ids(machine) for machine in fleet]
    total = lambda key: f"{sum(store[key] for store in stores):,}"
    what = f"{options.daemons} daemons, {options.files} checkpoints of {size / 1e6:.0f} MB; {machines.host()}"
    machines.table(what, "")
    read = sum(machine.metric(BYTES_READ) for machine in fleet) / size
    machines.row("files read whole, by the bytes read", f"{read:,.1f}")
    machines.row("files added to the store", total("added"))
    machines.row("files taken from it", total("contents_taken"))
    machines.row("usable by their headers, first and last daemon", span(watch.usable.values()))
    machines.row("all hashes known, first and last daemon", span(watch.hashed.values()))
    machines.row("different ids", f"{len(set(lists[0].values())):,}")
    machines.row("lists that differ from the first", f"{sum(known != lists[0] for known in lists)}")
    for problem in sorted({str(store["problem"] or store["refused"]) for store in stores} - {"[]"}):
        machines.row("problem with the store", problem)


def main():
    options = arguments()
    with machines.site(options) as site:
        models = site.folder / "models"
        size = write_checkpoints(site, models, options.files)
        settings = {"build": "never", "fixed_engines": 0, "settle_seconds": 0.2}
        watch = Watch(site.machines, options.files)
        for number in range(options.daemons):
            site.start(f"machine-{number}", models, **settings)
        machines.until(watch.look, options.limit, EVERY)
        tell(options, size, watch)


if __name__ == "__main__":
    main()
