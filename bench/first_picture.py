"""Measures how soon a web UI on a fresh machine makes its first picture by an engine that another machine has built.

DATA is a data folder of sdtrtd with engines that were validated on such a GPU; all that it has is added to a store.
Then, for each way, a fresh daemon with an empty folder runs beside a fresh web UI that computes with FIRST. CHECKPOINT
is moved into the models folder, and as soon as it is ready it is chosen with a job of 20 steps at 512×512. Prints a
table: from the moment at which the file was there until it was ready, from the choice to the picture, the same job
again, and what the web UI says of its own loading.

Needs a GPU that nobody else uses. `--presets` is a configuration with the presets and rules of DATA, without anything
else:

    cargo build --release --workspace && python3 bench/first_picture.py target/release WEBUI DATA FIRST CHECKPOINT \\
        --tensorrt-dir DIR
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import machines

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/frontends"))

import forge
from a1111 import FLAGS, ON_GPU
from jobs import COMMON
from server import Server
from times import machine

EXTENSION = Path(__file__).resolve().parent.parent / "webui"
SETTLE = 0.5
START_LIMIT = READY_LIMIT = 60
FAST = 0.02
LOADED = re.compile(r"(?:Model|Weights) loaded in .*")
# What the web UI has at the start, and what is dropped in.
FIRST, DROPPED = "first.safetensors", "dropped.safetensors"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    machines.add_arguments(parser)
    add = parser.add_argument
    for name in ("webui", "data", "first", "checkpoint"):
        add(name, type=Path, metavar=name.upper())
    add("--extension", type=Path, default=EXTENSION, help="the extension's folder")
    add("--kind", choices=["a1111", *forge.KINDS], default="a1111", help="which web UI it is")
    add("--python", default=sys.executable, help="the Python that the web UI runs with")
    add("--tensorrt-dir", type=Path, required=True, help="the folder of TensorRT-RTX's libraries")
    add("--presets", type=Path, help="a file with [[presets]] and [[rules]]")
    add("--port", type=int, default=7990)
    add("--argument", action="append", default=[], help="one more of the web UI's own")
    return parser.parse_args()


class Way:
    """A fresh machine with a web UI, which has our part if `store` is a folder."""

    def __init__(self, site, options, name, store=None):
        self.site, self.options, self.name, self.machine = site, options, name, None
        folder = site.folder / name.replace(" ", "-")
        models, checkpoints = folder / "models", folder / "checkpoints"
        checkpoints.mkdir(parents=True)
        models.mkdir()
        os.link(options.first, checkpoints / FIRST)
        (checkpoints / "new").symlink_to(models)
        self.models, extensions, environment = models, {}, {}
        if store is not None:
            keys = site.sharing["trusted_keys"]
            site.sharing = {"url": f"file://{store}", "mode": "read", "trusted_keys": keys}
            self.machine = start(site, options, f"{folder.name}/machine", models)
            extensions = {"sdtrt": options.extension.resolve()}
            environment = {"SDTRT_DATA_DIR": str(self.machine.home / "data")}
        flags = [*usual_flags(options), checkpoints, *options.argument]
        self.server = Server(options.python, options.webui.resolve(), folder / "webui", options.port, flags, extensions,
                             environment)

    def run(self):
        try:
            self.server.start()
            # Previews may ask for a file that is downloaded.
            self.server.ask("options", {"live_previews_enable": False})
            self.server.images("txt2img", job(FIRST))
            ready = self.drop()
            self.server.ask("refresh-checkpoints", {})
            chosen = next(each["title"] for each in self.server.ask("sd-models") if DROPPED in each["title"])
            before = len(self.server.lines())
            times = [self.seconds(chosen) for _ in range(2)]
            loaded = (LOADED.findall(self.server.log.read_text(errors="replace")) or ["–"])[-1]
            # Paths have the word, too.
            told = "; ".join(line for line in self.server.lines()[before:] if str(self.site.folder) not in line)
            seconds = (f"{each:.2f} s" for each in times)
            machines.row(self.name, f"{ready:.2f} s" if ready else "–", *seconds, loaded, told)
        except BaseException:
            print(*self.server.log.read_text(errors="replace").splitlines()[-30:], sep="\n", file=sys.stderr)
            raise
        finally:
            self.server.close()

    def drop(self):
        """Moves the checkpoint into the models folder; returns the seconds until it is ready."""
        aside = self.models.parent / DROPPED
        os.link(self.options.checkpoint, aside)
        begin = time.monotonic()
        aside.rename(self.models / DROPPED)
        if self.machine is None:
            return None
        machines.until(self.is_ready, READY_LIMIT, FAST)
        return time.monotonic() - begin

    def is_ready(self):
        known = self.machine.ask("list")
        return known and [of["state"] for of in known["checkpoints"]] == ["ready"]

    def seconds(self, title):
        begin = time.monotonic()
        self.server.images("txt2img", job(title))
        return time.monotonic() - begin


def usual_flags(options):
    """Returns the web UI's flags, of which the last takes a folder of checkpoints."""
    if options.kind == "a1111":
        return [*FLAGS, *ON_GPU, "--ckpt-dir"]
    of_checkpoints, _, _, vae, others = forge.KINDS[options.kind]
    return [*forge.COMMON, *others, vae, of_checkpoints]


def start(site, options, name, models):
    started = site.start(name, models, more(options), settle_seconds=SETTLE, prefer="engine", fixed_engines=0,
                         tensorrt_dir=str(options.tensorrt_dir.resolve()))
    machines.until(lambda: (started.ask("status") or {}).get("runtime"), START_LIMIT, FAST)
    return started


def more(options):
    return options.presets.read_text() if options.presets else ""


def job(checkpoint):
    settings = {"override_settings": {"sd_model_checkpoint": checkpoint}, "override_settings_restore_afterwards": False}
    return COMMON | settings | {"width": 512, "height": 512, "steps": 20}


def push(site, options):
    config = site.folder / "push.toml"
    models = site.folder / "none"
    models.mkdir()
    settings = {"models_dirs": [str(models)], "data_dir": str(options.data.resolve())}
    config.write_text(machines.toml(settings, site.sharing))
    command = [site.programs / "sdtrtctl", "--config", config, "store", "push"]
    subprocess.run(command, env=machines.environment(site.folder), check=True, stdout=sys.stderr)


def main():
    options = arguments()
    with machines.site(options) as site:
        push(site, options)
        without = site.folder / "store without kernels"
        shutil.copytree(site.store, without, ignore=shutil.ignore_patterns("kernels"))
        what = f"first picture; {machine(options.python)}"
        machines.table(what, "ready", "chosen to picture", "again", "its own loading", "ours")
        Way(site, options, "PyTorch, without our part").run()
        Way(site, options, "engine and kernels from the store", site.store).run()
        Way(site, options, "engine alone from the store", without).run()


if __name__ == "__main__":
    main()
