"""What sdtrtd makes of an NVIDIA GPU: shared engines beside baked ones, a second checkpoint, a wrong
engine, and a load that comes in between.

FOLDER has `weights.safetensors` and `default.onnx`, as `goldens` and the example `forms` of the crate
`unet` write them; engines and checkpoints are put into WORK. Prints a line for each figure. Needs torch
with CUDA, onnx, safetensors and tensorrt-rtx-cu12-bindings.
"""
import argparse
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import torch

# Where sdtrtd looks for ONNX Runtime in its data folder.
ONNX_RUNTIME = "runtime/onnxruntime-1.32.0/libonnxruntime.so.1.32.0"
# The bias that the wrong engine lacks.
DROPPED = "model.diffusion_model.input_blocks.0.0.bias"
IDLE_SECONDS = 3
LOAD_SECONDS = 5
# Seconds over which a load's throughput is told.
PIECE = 0.2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER")
    add("work", type=Path, metavar="WORK", help="a folder for what is made")
    add("--programs", type=Path, default=Path("target/release"), help="where sdtrtd and sdtrtctl are")
    add("--tensorrt-dir", type=Path, required=True)
    add("--onnx-runtime", type=Path, required=True, help="the library")
    add("--parts", default="baked,wrong,shared,load", help="of the figures")
    add("--presets", default="default", help="that engines are built for")
    add("--checkpoints", type=int, default=2, help="that share an engine")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    parts = options.parts.split(",")
    # Both build meanwhile.
    daemons = {kind: Daemon(options, kind) for kind in ("shared", "baked") if kind in parts}
    for part in parts:
        try:
            PARTS[part](options, daemons)
        except Exception as error:
            print(f"{part}: {type(error).__name__}: {error}", flush=True)
    for daemon in daemons.values():
        daemon.stop()


def tell(what, figure):
    print(f"| {what} | {figure} |", flush=True)


class Daemon:
    """sdtrtd on a models folder of its own with the checkpoint in it."""

    def __init__(self, options, name, engines=None, **settings):
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
            "engines": engines or name,
            "build": "always",
            "settle_seconds": 0.5,
        } | settings
        config = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        rule = f"[[rules]]\npresets = {json.dumps(options.presets.split(','))}\n"
        (self.data / "sdtrtd.toml").write_text(config + rule)
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
        """What `list` says of a checkpoint."""
        entries = self.ask("list")
        return next((e for e in entries if any(name in place for place in e["locations"])), None)

    def settled(self, seconds=400):
        """The checkpoint once it is ready or has failed."""
        until(lambda: (self.entry() or {}).get("state") in ("ready", "failed"), seconds)
        return self.entry()

    def working(self):
        """The phase of what is under way, if anything is."""
        return next((job["phase"] for job in self.ask("status")["building"]), None)

    def published(self):
        """The plan and the manifest of its engine."""
        plan = next(self.data.glob("engines/*.engine"))
        return plan, plan.with_suffix(".json")


def until(true, seconds, every=0.02):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"nothing came of it in {seconds} s")
        time.sleep(every)


def trial(entry):
    return entry["engines"][0]["trials"][0]


def describe(found):
    proof = found["proof"]
    error = f"error {proof['relative_error']:.2e}" if proof else found["unproven"]
    error += f", found in {found['proof_seconds']:.1f} s"
    sizes = ", ".join(f"{s['width']}: {s['milliseconds']:.2f} ms" for s in found["speeds"])
    filled = f", refit {found['fill_seconds']:.2f} s" if found["fill_seconds"] else ""
    return f"{error}; batch {found['speeds'][0]['batch']}, {sizes}{filled}"


def baked(options, daemons):
    tell("baked engine", describe(trial(daemons["baked"].settled())))


def wrong(options, daemons):
    """The same engine without one bias, as if TensorRT had lost it."""
    daemon = daemons["baked"]
    daemon.settled()
    daemon.stop()
    plan, manifest = daemon.published()
    build_without(options.folder, DROPPED, plan)
    told = json.loads(manifest.read_text()) | {"bytes": plan.stat().st_size, "trials": []}
    manifest.write_text(json.dumps(told))
    daemon.start()
    until(lambda: (e := daemon.entry()) and e["engines"] and e["engines"][0]["trials"], 120)
    entry = daemon.entry()
    tell(f"baked engine without {DROPPED}", f"{entry['state']}: {entry['reason']}")


def build_without(folder, bias, plan):
    import numpy as np
    import onnx
    from onnx import numpy_helper

    import engine
    from webui_engines import Subject

    model = onnx.load(folder / "default.onnx", load_external_data=False)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == bias)
    tensor.CopyFrom(numpy_helper.from_array(np.zeros(list(tensor.dims), np.float16), bias))
    onnx.save(model, folder / "wrong.onnx")
    subject = Subject(folder, None, "baked")
    sizes = {"side": (64, 64, 96), "batch": (1, 2, 8), "pieces": (1, 1, 2)}
    engine.build(folder / "wrong.onnx", plan, [subject.shapes(sizes)])


def shared(options, daemons):
    daemon = daemons["shared"]
    first = daemon.settled(600)
    tell("shared engine", describe(trial(first)))
    size = lambda: sum(f.stat().st_size for f in daemon.data.glob("engines/*"))
    before = size()
    tell("shared engine on disk", f"{before / 1e6:.1f} MB")
    took, reading = zip(*(another(options, daemon, n) for n in range(2, options.checkpoints + 1)))
    tell(
        f"each of {len(took)} more checkpoints from moved in to ready, 0.5 s of it settling",
        f"{min(took):.2f} to {max(took):.2f} s; reading one {min(reading):.2f} s",
    )
    tell("disk that they take", f"{(size() - before) / 1e6:.3f} MB")
    start = time.monotonic()
    plain = options.work / "plain.engine"
    written = daemon.ask("materialize", "checkpoint-2", "--output", str(plain))
    tell("materialized", f"{written['bytes'] / 1e9:.2f} GB in {time.monotonic() - start:.1f} s")
    tell("its error", f"{error_of(plain, options.folder, daemon.models / 'checkpoint-2.safetensors'):.2e}")


def another(options, daemon, number):
    """Seconds until one more checkpoint is ready, and those that reading it takes."""
    name = f"checkpoint-{number}"
    aside = options.work / f"{name}.safetensors"
    shutil.copy(daemon.checkpoint, aside)
    change(aside, number)
    start = time.monotonic()
    aside.read_bytes()
    reading = time.monotonic() - start
    start = time.monotonic()
    aside.rename(daemon.models / aside.name)
    until(lambda: (daemon.entry(name) or {}).get("state") == "ready", 60)
    return time.monotonic() - start, reading


def change(checkpoint, number):
    """One other number in the UNet: another checkpoint of the same architecture."""
    with checkpoint.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        begin, _ = json.loads(file.read(length))[DROPPED]["data_offsets"]
        file.seek(8 + length + begin)
        byte = file.read(1)[0]
        file.seek(8 + length + begin)
        file.write(bytes([byte ^ number]))


def error_of(plan, folder, checkpoint):
    """How far a plan with weights inside is off fp32."""
    import engine
    from measure import TOKENS, references, relative_error
    from webui_engines import Subject

    subject = Subject(folder, None, "baked")
    side = subject.profiles[0]["side"][1]
    case = subject.case(2, side, side, TOKENS)
    with torch.no_grad():
        expected = references(checkpoint, {"all": case})["all"]
        return relative_error(engine.Engine(plan)(**case), expected)


class Load:
    """Matrix products on the GPU, and how many a second."""

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
        """Products a second, in pieces of time: of each its end and its figure."""
        pieces, begin = [], time.monotonic()
        while (start := time.monotonic()) < begin + seconds:
            count = 0
            while time.monotonic() < start + PIECE:
                self.product()
                count += 1
            now = time.monotonic()
            pieces.append((now - begin, count / (now - start)))
        return pieces


def load(options, daemons):
    """A load begins while an engine is tried, and while one is built."""
    for other in daemons.values():
        other.stop()
    work = Load()
    # After as much idleness and for as long as it will be: clocks follow the load.
    time.sleep(IDLE_SECONDS)
    alone = [figure for _, figure in work.run(LOAD_SECONDS)]
    usual = sorted(alone)[len(alone) // 2]
    tell("a load on an idle GPU", " ".join(f"{100 * figure / usual:.0f}" for figure in alone) + " %")
    daemon = Daemon(options, "polite", "baked", build="when-idle", idle_seconds=IDLE_SECONDS)
    for phase in ("build", "load"):
        until(lambda: daemon.working() == phase, 120)
        pieces = work.run(LOAD_SECONDS)
        slow = [end for end, figure in pieces if figure < 0.95 * usual]
        back = max(slow, default=0.0)
        course = " ".join(f"{100 * figure / usual:.0f}" for _, figure in pieces)
        tell(
            f"a load begins during {phase}",
            f"back to 95 % of its throughput after {back:.2f} s; in pieces of {PIECE} s: {course} %; "
            f"then {daemon.working() or 'nothing'} is under way",
        )
        start = time.monotonic()
        until(daemon.working, 60)
        waited = time.monotonic() - start
        tell("the job goes on after the load", f"{waited:.1f} s, of which {IDLE_SECONDS} s of idleness")
    daemon.stop()


PARTS = {"baked": baked, "wrong": wrong, "shared": shared, "load": load}

if __name__ == "__main__":
    main()
