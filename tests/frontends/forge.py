"""Checks a whole web UI of Forge's family with the extension: `python3 tests/frontends/forge.py --help`.

It is started with the extension and without, in folders of its own, makes the same pictures, is reloaded and stopped.
Without a GPU the pictures must be the same files, where PyTorch computes them and where another UNet that reads the
same weights stands in for an engine (forge_pretend); with one, where engines do, at least 40 dB alike. What the web UI
itself needs, such as HF_HOME, comes from the environment.
"""
import argparse
import io
import math
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import server as servers
from server import Refused, Server, cpu_seconds, digest, scratch

HERE = Path(__file__).resolve().parent
# They take longer to start than A1111.
servers.START_S = 900
LEAST_DB = 40
PARTS = ("pictures", "pretended", "changes", "starts", "stops", "browser")
# Seconds by which the extension may delay the start.
SLOWER_S = 0.3
COMMON = ["--skip-prepare-environment", "--skip-python-version-check", "--skip-torch-cuda-test", "--api-server-stop"]
# What differs between them: the flags for folders and for a CPU.
KINDS = {
    "neo": ("--ckpt-dirs", "--lora-dirs", ["--cpu", "--force-fp32"]),
    "reforge": ("--ckpt-dir", "--lora-dir", ["--always-cpu", "--all-in-fp32", "--no-download-sd-model"]),
    "forge": ("--ckpt-dir", "--lora-dir", ["--always-cpu", "--all-in-fp32", "--no-download-sd-model"]),
}
# Previews ask for a file that is downloaded, and the switch of models in the middle of a pass is for Wan by default.
SETTINGS = {"live_previews_enable": False, "sdtrt_engine": "automatic", "token_merging_ratio": 0}
NEOS = {"refiner_use_steps": True, "show_refiner": True}
NEVER = "never (PyTorch)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("webui", type=Path, help="its folder")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--models", type=Path, help="a folder with two checkpoints in Stable-diffusion, and perhaps a "
                        "LoRA in Lora; by default the web UI's own")
    parser.add_argument("--extension", type=Path, required=True, help="the extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--data-dir", type=Path, help="sdtrtd's data folder; none by default")
    parser.add_argument("--chromium", help="the browser")
    parser.add_argument("--tools", help="a folder with playwright, pillow and numpy; PYTHONPATH is the web UI's")
    parser.add_argument("--only", action="append", choices=PARTS, help="all by default")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--starts", type=int, default=5, help="how many with the extension and without are compared")
    parser.add_argument("--without", action="store_true", help="stop it without the extension too")
    parser.add_argument("--port", type=int, default=7965)
    parser.add_argument("--gpu", action="store_true", help="let it use the GPU")
    parser.add_argument("--argument", action="append", default=[], help="one more of its own")
    options = parser.parse_args()
    if options.tools:
        sys.path.insert(0, options.tools)
    with scratch() as folder:
        Check(options, folder).run()


class Check:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        models = (options.models or options.webui / "models").resolve()
        self.checkpoints, self.loras = models / "Stable-diffusion", models / "Lora"
        self.lora = next((file.stem for file in sorted(self.loras.glob("*.safetensors"))), None)
        self.failures = []
        self.plain = None

    def run(self):
        for part in self.options.only or PARTS:
            getattr(self, part)()
        if self.failures:
            sys.exit("\n".join(["", *self.failures]))

    def say(self, name, fine, told):
        print(f"{'ok' if fine else 'BAD':4}{name:46}{told}", flush=True)
        if not fine:
            self.failures.append(f"{name}: {told}")

    @property
    def ours(self):
        return {"sdtrt": self.options.extension.resolve()}

    @property
    def engines(self):
        """Our extension, and what stands in for an engine."""
        return self.ours | ({} if self.options.gpu else {"zz-pretend": HERE / "forge_pretend"})

    @contextmanager
    def started(self, name, extensions, checkpoints=None):
        """A web UI that makes pictures."""
        of_checkpoints, of_loras, cpu = KINDS[self.options.kind]
        flags = [*COMMON, *([] if self.options.gpu else cpu), of_checkpoints, checkpoints or self.checkpoints,
                 of_loras, self.loras, *self.options.argument]
        environment = {"SDTRT_DATA_DIR": str(self.options.data_dir or self.folder / "no daemon")}
        server = Server(self.options.python, self.options.webui.resolve(), self.folder / name, self.options.port, flags,
                        {"small": HERE / "forge_small"} | extensions, environment)
        try:
            server.start()
            self.set(server, SETTINGS | (NEOS if self.options.kind == "neo" else {}))
            yield server
        finally:
            server.close()

    def set(self, server, settings):
        """Changes settings, of which each front end knows others."""
        known = server.ask("options")
        server.ask("options", {name: value for name, value in settings.items() if name in known})

    def usual(self, name, extensions):
        """Returns what is made of the usual jobs: the pictures, and what our extension has said meanwhile."""
        with self.started(name, extensions) as server:
            titles = [each["title"] for each in server.ask("sd-models")][:2]
            made = {}
            for job, settings, path, body in jobs_of(self.options.kind, titles, self.lora):
                self.set(server, settings)
                made[job] = make(server, path, body)
            return made, server.lines()

    def expected(self):
        if self.plain is None:
            self.plain = self.usual("without", {})[0]
        return self.plain

    def pictures(self):
        """Makes the same pictures with the extension."""
        said = self.compare("with", self.ours, served=self.options.gpu)
        if not self.options.gpu:
            self.say("one line", len(said) == 1, "; ".join(said) or "none")

    def pretended(self):
        """Makes them with another UNet in an engine's place."""
        if not self.options.gpu:
            self.compare("pretended", self.engines, served=True)

    def compare(self, name, extensions, served):
        """Says of each job whether its pictures are those without the extension, and whether an engine made them;
        returns the lines."""
        plain = self.expected()
        ours, said = self.usual(name, extensions)
        for job, (files, lines) in plain.items():
            same, alike = self.is_same(files, ours[job][0])
            found = [line.partition("sdtrt: ")[2] for line in ours[job][1]]
            is_served = any(line.startswith("engine ") and " at " in line for line in found)
            as_meant = not served or is_served == (job not in UNSERVED)
            by = ("served" if is_served else "; ".join(found)) if served else ""
            self.say(f"{job}, {name}", same and as_meant, f"{alike}  {by}{'; '.join(lines)}")
        return said

    def is_same(self, expected, found):
        """Returns whether pictures are the same files, or with a GPU alike, and how alike in words."""
        told = ", ".join(each[:10] for each in digest(found)) or "no picture"
        if digest(expected) == digest(found):
            return bool(found), told
        if not self.options.gpu or len(expected) != len(found):
            return False, f"{told} differ"
        least = min(decibels(*pair) for pair in zip(expected, found, strict=True))
        return least >= LEAST_DB, f"{least:.1f} dB"

    def changes(self):
        """Renames and replaces a checkpoint while it is loaded."""
        made = []
        for name, extensions in (("changes without", {}), ("changes", self.engines)):
            folder = self.folder / f"{name} files"
            folder.mkdir()
            first, second = sorted(self.checkpoints.glob("*.safetensors"))[:2]
            shutil.copy(first, folder / "one.safetensors")
            with self.started(name, extensions, folder) as server:
                made.append([make(server, "txt2img", small())[0]])
                (folder / "one.safetensors").rename(folder / "two.safetensors")
                made[-1].append(make(server, "txt2img", small())[0])
                server.ask("refresh-checkpoints", {})
                title = next(each["title"] for each in server.ask("sd-models") if "two" in each["title"])
                chosen = {"override_settings": {"sd_model_checkpoint": title},
                          "override_settings_restore_afterwards": False}
                made[-1].append(make(server, "txt2img", small(**chosen))[0])
                # By another file of the same name, as trainers do.
                shutil.copy(second, folder / "new")
                os.replace(folder / "new", folder / "two.safetensors")
                server.ask("unload-checkpoint", {})
                server.ask("refresh-checkpoints", {})
                made[-1].append(make(server, "txt2img", small())[0])
        for number, name in enumerate(("loaded", "renamed", "renamed and chosen", "replaced")):
            self.say(f"checkpoint {name}", *self.is_same(*(each[number] for each in made)))

    def starts(self):
        """Compares what a start takes: without the extension and with it in turn, the least of each."""
        times = {}
        for number in range(self.options.starts):
            for name, extensions in (("without", {}), ("with", self.ours)):
                with self.started(f"start {name} {number}", extensions) as server:
                    times.setdefault(name, []).append(cpu_seconds(server.process.pid))
        if times:
            without, ours = (min(times[name]) for name in ("without", "with"))
            self.say("start", ours - without <= SLOWER_S, f"{ours:.2f} s of computing, {without:.2f} s without")

    def stops(self):
        """Ends it in every way, after a job."""
        ways = {
            "SIGTERM": lambda server: server.process.send_signal(signal.SIGTERM),
            "server-stop": lambda server: server.ask("server-stop", {}),
        }
        which = {"": self.ours} | ({" without": {}} if self.options.without else {})
        for name, end, extensions in [(way + of, ways[way], which[of]) for way in ways for of in which]:
            try:
                with self.started(name, extensions) as server:
                    make(server, "txt2img", small())
                    begin = time.monotonic()
                    end(server)
                    self.say(name, True, f"ended after {server.ended(begin):.1f} s")
            except AssertionError as problem:
                self.say(name, False, problem)

    def browser(self):
        if not self.options.chromium:
            print("no browser: reloading with the tab open is NOT checked")
            return
        import forge_pages

        try:
            with self.started("browser", self.ours) as server:
                for name, told in forge_pages.check(server, self.options.chromium, self.options.reloads):
                    self.say(name, True, told)
        except AssertionError as problem:
            self.say("browser", False, problem)


def small(**changes):
    from jobs import COMMON as common

    return common | changes


# Jobs that no engine serves.
UNSERVED = ("never", "tiling", "token merging", "FreeU", "Kohya HRFix")


def jobs_of(kind, titles, lora):
    """Yields (name, settings, path of the API, body) of each job."""
    from jobs import all_jobs

    for name, path, body in all_jobs(titles, lora):
        if name == "hires" and kind == "neo":
            # It has no upscaler of latents.
            body = body | {"hr_upscaler": "Lanczos"}
        if name == "SD Unet is None":
            yield "never", {"sdtrt_engine": NEVER}, path, small(override_settings={})
            yield "automatic again", {"sdtrt_engine": "automatic"}, path, small()
            continue
        yield name, {}, path, body
    if kind == "neo":
        refined = small(refiner_checkpoint=titles[1], refiner_switch_at=0.5, steps=4)
        yield "fast refiner", {"refiner_fast_sd": True}, "txt2img", refined
        yield "after the fast refiner", {}, "txt2img", small()
        if lora is not None:
            prompt = f"a red cat <lora:{lora}:0.8>"
            yield "fast refiner with LoRA", {}, "txt2img", refined | {"prompt": prompt}
            yield "after it with LoRA", {"refiner_fast_sd": False}, "txt2img", small(prompt=prompt)
    always = lambda **scripts: small(alwayson_scripts={title: {"args": args} for title, args in scripts.items()})
    if kind == "reforge":
        yield "FreeU", {}, "txt2img", always(**{"FreeU Integrated": [True, 1.01, 1.02, 0.99, 0.95]})
        yield "Kohya HRFix", {}, "txt2img", always(**{"Kohya HRFix Integrated": [
            True, 3, 2, 0, 0.35, True, "bicubic", "bicubic"]})
    yield "MultiDiffusion", {}, "txt2img", always(**{"MultiDiffusion Integrated": [
        True, "MultiDiffusion", 64, 64, 16, 4]}) | {"width": 128}
    yield "in the end", {}, "txt2img", small()


def make(server, path, body):
    """Lets the web UI do a job; returns its pictures, and what our extension has said. If it refuses there are no
    pictures, and the lines say why."""
    before = len(server.lines())
    try:
        return server.images(path, body), server.lines()[before:]
    except Refused as why:
        return [], [str(why)]


def decibels(one, other):
    """Returns the PSNR of two pictures."""
    import numpy
    from PIL import Image

    of = lambda file: numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB"), float)
    error = float(((of(one) - of(other)) ** 2).mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
