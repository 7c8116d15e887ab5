"""Measures sdtrtd on an NVIDIA GPU: the engines of a first checkpoint, a second one, a requested size, and a load
that starts during a validation.

FOLDER has `weights.safetensors`, as `goldens` writes it; engines and checkpoints go into WORK. Prints one line per
figure. Needs torch with CUDA.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

# Where sdtrtd expects ONNX Runtime in its data folder.
ONNX_RUNTIME = "runtime/onnxruntime-1.32.0/libonnxruntime.so.1.32.0"
# The tensor in which one value is changed to get another checkpoint.
CHANGED = "model.diffusion_model.input_blocks.0.0.bias"
IDLE_SECONDS = 3
LOAD_SECONDS = 5
# The interval in seconds at which a load's throughput is measured.
PIECE = 0.2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("work", type=Path, metavar="WORK", help="a folder for engines and checkpoints")
    add("--programs", type=Path, default=Path("target/release"), help="the folder of sdtrtd, sdtrtctl and sdtrt-worker")
    add("--tensorrt-dir", type=Path, required=True)
    add("--onnx-runtime", type=Path, required=True, help="the library")
    add("--parts", default="first,second,size,load", help="which figures")
    add("--size", default="640x512", help="WIDTHxHEIGHT that has not been requested yet")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(options, "shared", build="always")
    for part in options.parts.split(","):
        try:
            PARTS[part](options, daemon)
        except Exception as error:
            print(f"{part}: {type(error).__name__}: {error}", flush=True)
    daemon.stop()


def tell(what, figure):
    print(f"| {what} | {figure} |", flush=True)


class Daemon:
    """sdtrtd with its own models folder and the checkpoint in it."""

    def __init__(self, options, name, **settings):
        self.programs = options.programs.resolve()
        self.data, self.models = options.work / name, options.work / f"{name}-models"
        self.models.mkdir(parents=True, exist_ok=True)
        library = self.data / ONNX_RUNTIME
        library.parent.mkdir(parents=True, exist_ok=True)
        if not library.exists():
            shutil.copy(options.onnx_runtime, library)
        self.checkpoint = self.models / "checkpoint.safetensors"
        if not self.checkpoint.exists():
            shutil.copy(options.folder / "weights.safetensors", self.checkpoint)
        settings = {
            "models_dirs": [str(self.models)],
            "data_dir": str(self.data),
            "socket": str(self.data / "socket"),
            "tensorrt_dir": str(options.tensorrt_dir),
            "settle_seconds": 0.5,
        } | settings
        config = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        (self.data / "sdtrtd.toml").write_text(config)
        self.environment = os.environ | {"SDTRT_CONFIG": str(self.data / "sdtrtd.toml")}
        self.start()

    def start(self):
        log = (self.data / "log").open("a")
        program = self.programs / "sdtrtd"
        self.process = subprocess.Popen([program], env=self.environment, stdout=log, stderr=log)
        until(lambda: self.run("status").returncode == 0, 10)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def run(self, *arguments):
        command = [self.programs / "sdtrtctl", "--json", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def ask(self, *arguments):
        answer = self.run(*arguments)
        if answer.returncode and not answer.stdout:
            raise RuntimeError(answer.stderr.strip())
        return json.loads(answer.stdout)

    def entry(self, name="checkpoint"):
        """Returns a checkpoint's entry in `list`."""
        entries = self.ask("list")
        return next((e for e in entries if any(name in place for place in e["locations"])), None)

    def settled(self, seconds=400):
        """Waits until the checkpoint is ready or has failed, and returns it."""
        until(lambda: (self.entry() or {}).get("state") in ("ready", "failed"), seconds)
        return self.entry()

    def working(self):
        """Returns the running job's phase, if any."""
        return next((job["phase"] for job in self.ask("status")["building"]), None)

    def manifests(self):
        """Returns the engines' manifests in the order in which they were built."""
        trees = [json.loads(path.read_text()) for path in self.data.glob("engines/*.json")]
        return sorted(trees, key=lambda tree: tree["built_at"])

    def all_done(self, seconds=900):
        """Waits until no job is running or queued."""
        until(lambda: not ((status := self.ask("status"))["building"] or status["queue"]), seconds, 0.5)


def until(true, seconds, every=0.02):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"not reached in {seconds} s")
        time.sleep(every)


def name(manifest):
    return ", ".join(manifest["presets"]) or "fixed to {}x{}, batch {}".format(*shape(manifest))


def shape(manifest):
    batch, _, height, width = manifest["spec"]["profiles"][0]["inputs"]["sample"]["opt"]
    return width * 8, height * 8, batch


def describe(manifest):
    """Describes an engine's build and the findings of its validation."""
    built = f"built in {manifest['build_seconds']:.1f} s with {manifest['peak_bytes'] / 1e9:.2f} GB, "
    built += f"{manifest['bytes'] / 1e6:.0f} MB, attention sums: {manifest['accumulation']}"
    if not manifest["validations"]:
        return f"{built}; not validated"
    found = manifest["validations"][-1]["findings"]
    proof = found["proof"].get("Ok")
    error = f"error {proof['relative_error']:.2e} ({found['proof_seconds']:.1f} s)" if proof else "not compared"
    speeds = ", ".join(f"{s['width']}x{s['height']}: {s['milliseconds']:.2f} ms" for s in found["speeds"])
    return f"{built}; {error}; {speeds}"


def tell_history(daemon):
    """Prints what each job took."""
    for job in daemon.ask("history"):
        tell(f"{job['outcome']} {job.get('engine', '')[:12]}", f"{job['seconds']:.1f} s")


def first(options, daemon):
    start = time.monotonic()
    daemon.settled(900)
    tell("first checkpoint, its open engines built and validated", f"{time.monotonic() - start:.1f} s")
    daemon.all_done()
    tell("the usual sizes too", f"{time.monotonic() - start:.1f} s")
    for manifest in daemon.manifests():
        tell(name(manifest), describe(manifest))
    tell_history(daemon)


def second(options, daemon):
    """Another checkpoint of the same signature."""
    before = [(path.name, path.stat().st_size) for path in sorted(daemon.data.glob("engines/*"))]
    aside = options.work / "second.safetensors"
    shutil.copy(daemon.checkpoint, aside)
    change(aside)
    start = time.monotonic()
    aside.rename(daemon.models / aside.name)
    until(lambda: (daemon.entry("second") or {}).get("state") == "ready", 60)
    tell("second checkpoint, moved in to ready, 0.5 s of it settling", f"{time.monotonic() - start:.2f} s")
    after = [(path.name, path.stat().st_size) for path in sorted(daemon.data.glob("engines/*"))]
    tell("engine files written for it", f"{len(set(after) - set(before))}")


def size(options, daemon):
    """A size that has not been requested yet, requested as the web UI does."""
    width, height = map(int, options.size.split("x"))
    index = json.loads((daemon.data / "index.json").read_text())
    wanted = {"width": width, "height": height, "batch": 2}
    sys.path.insert(0, str(Path(__file__).parent.parent / "webui"))
    from sdtrt.daemon import ask

    start = time.monotonic()
    ask(index["socket"], "shapes", signature=index["signatures"][0]["id"], shapes=[wanted])
    made = lambda: next((m for m in daemon.manifests() if shape(m) == (width, height, 2)), None)
    until(made, 120)
    tell(f"a fixed engine for {options.size}, asked for to built", f"{time.monotonic() - start:.1f} s")
    daemon.all_done()
    tell("the same, validated, its kernels compiled", f"{time.monotonic() - start:.1f} s; {describe(made())}")


def change(checkpoint):
    """Changes one value in the UNet, which makes it another checkpoint with the same signature."""
    with checkpoint.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        begin, _ = json.loads(file.read(length))[CHANGED]["data_offsets"]
        file.seek(8 + length + begin)
        byte = file.read(1)[0]
        file.seek(8 + length + begin)
        file.write(bytes([byte ^ 1]))


class Load:
    """Matrix products on the GPU, and their rate."""

    def __init__(self):
        self.matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
        self.run(0.5)

    def product(self):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        self.matrix @ self.matrix
        end.record()
        end.synchronize()

    def run(self, seconds):
        """Returns products per second over time: the end of each interval, and its rate."""
        pieces, begin = [], time.monotonic()
        while (start := time.monotonic()) < begin + seconds:
            count = 0
            while time.monotonic() < start + PIECE:
                self.product()
                count += 1
            now = time.monotonic()
            pieces.append((now - begin, count / (now - start)))
        return pieces


def load(options, daemon):
    """A load starts during a validation."""
    daemon.stop()
    work = Load()
    # After as long an idle time and for as long as in the measurement: clocks follow the load.
    time.sleep(IDLE_SECONDS)
    alone = [figure for _, figure in work.run(LOAD_SECONDS)]
    usual = sorted(alone)[len(alone) // 2]
    tell("a load on an idle GPU", " ".join(f"{100 * figure / usual:.0f}" for figure in alone) + " %")
    polite = Daemon(options, "polite", build="when-idle", idle_seconds=IDLE_SECONDS)
    until(lambda: polite.working() in ("load", "prove", "warm"), 120)
    pieces = work.run(LOAD_SECONDS)
    slow = [end for end, figure in pieces if figure < 0.95 * usual]
    course = " ".join(f"{100 * figure / usual:.0f}" for _, figure in pieces)
    tell(
        "a load begins during a validation",
        f"back to 95 % of its throughput after {max(slow, default=0.0):.2f} s; in pieces of {PIECE} s: {course} %",
    )
    polite.stop()
    daemon.start()


PARTS = {"first": first, "second": second, "size": size, "load": load}

if __name__ == "__main__":
    main()
