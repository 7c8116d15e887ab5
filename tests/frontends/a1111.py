"""Checks a whole AUTOMATIC1111 web UI with the extension: `python3 tests/frontends/a1111.py --help`.

It is started with the extension and without, in folders of its own, makes the same pictures, is unloaded, reloaded and
stopped. Without a GPU the pictures must be the same files, where PyTorch computes them and where it stands in for an
engine (pretend); with one, where engines do, at least 40 dB alike. What the web UI itself needs, such as HF_HOME, comes
from the environment.
"""
import argparse
import io
import math
import os
import signal
import sys
import time
from functools import cached_property
from pathlib import Path

from server import Server, digest, scratch

PRETEND = Path(__file__).resolve().parent / "pretend"
LEAST_DB = 40
# Jobs that no engine serves: 'None' is chosen, tiling, and of the regions Attention and those with LoRAs.
NOT_SERVED = 4
# Seconds by which the extension may delay the start.
SLOWER_S = 0.3
FLAGS = ["--skip-prepare-environment", "--skip-python-version-check", "--skip-torch-cuda-test", "--no-half",
         "--no-download-sd-model", "--do-not-download-clip", "--api-server-stop"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("webui", type=Path, help="its folder")
    parser.add_argument("--models", type=Path, help="a folder with two checkpoints in Stable-diffusion, and perhaps a "
                        "LoRA in Lora; by default the web UI's own")
    parser.add_argument("--extension", type=Path, required=True, help="the extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--data-dir", type=Path, help="sdtrtd's data folder; none by default")
    parser.add_argument("--chromium", help="the browser")
    parser.add_argument("--tools", help="a folder with playwright, pillow and numpy; PYTHONPATH is the web UI's")
    parser.add_argument("--regional-prompter", type=Path, help="the folder of that extension")
    parser.add_argument("--only", action="append", help="pictures, pretended, starts, stops or browser; all by default")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--port", type=int, default=7955)
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
        self.flags = [*FLAGS, "--ckpt-dir", models / "Stable-diffusion", "--lora-dir", models / "Lora",
                      *([] if options.gpu else ["--use-cpu", "all"]), *options.argument]
        self.lora = next((file.stem for file in sorted((models / "Lora").glob("*.safetensors"))), None)
        self.failures = []

    def server(self, name, extensions, environment=()):
        environment = dict(environment) | {"SDTRT_DATA_DIR": str(self.options.data_dir or self.folder / "no daemon")}
        return Server(self.options.python, self.options.webui.resolve(), self.folder / name, self.options.port,
                      self.flags, extensions, environment)

    @property
    def ours(self):
        return {"sdtrt": self.options.extension.resolve()}

    def run(self):
        for part in self.options.only or ("pictures", "pretended", "starts", "stops", "browser"):
            getattr(self, part)()
        if self.failures:
            sys.exit("\n".join(["", *self.failures]))

    def say(self, name, fine, told):
        print(f"{'ok' if fine else 'BAD':4}{name:46}{told}", flush=True)
        if not fine:
            self.failures.append(f"{name}: {told}")

    @cached_property
    def plain(self):
        """The pictures without the extension."""
        return self.made("without", self.others)[0]

    @property
    def others(self):
        regions = self.options.regional_prompter
        return {} if regions is None else {"regions": regions.resolve()}

    def pictures(self):
        """Makes the same pictures with the extension."""
        ours, said = self.made("with", self.others | self.ours)
        for name, files in self.plain.items():
            self.compare(name, files, ours[name])
        if self.options.gpu:
            self.say("served", any("it/s" in line for line in said), f"{len(said)} lines")
        else:
            self.say("one line", len(said) == 1, "; ".join(said) or "none")

    def pretended(self):
        """Makes them with PyTorch in an engine's place."""
        if self.options.gpu:
            return
        pretended, said = self.made("pretended", self.others | self.ours | {"zz-pretend": PRETEND})
        for name, files in self.plain.items():
            self.compare(f"{name}, pretended", files, pretended[name])
        served = sum("engine pretend" in line and " at " in line for line in said)
        self.say("jobs served", served >= len(self.plain) - NOT_SERVED, f"{served} of {len(self.plain)}")
        for line in sorted({line for line in said if "engine pretend" not in line}):
            print(f"    {line}")

    def made(self, name, extensions):
        """Returns the pictures of each job, and the lines of our extension."""
        server = self.server(name, extensions)
        try:
            server.start()
            # A job restores only settings that have been set.
            server.ask("options", {"sd_unet": "Automatic", "token_merging_ratio": 0})
            titles = [each["title"] for each in server.ask("sd-models")]
            assert len(titles) > 1, "it needs two checkpoints"
            from jobs import all_jobs, regional_jobs

            jobs = all_jobs(titles[:2], self.lora)
            if "regions" in extensions:
                jobs += regional_jobs(titles[:2], self.lora)
            made = {job: server.images(path, body) for job, path, body in jobs}
            server.ask("unload-checkpoint", {})
            server.ask("reload-checkpoint", {})
            made["after unloading"] = server.images(*jobs[0][1:])
            server.ask("options", {"sd_unet": "Automatic"})
            made["after a change of settings"] = server.images(*jobs[0][1:])
            return made, server.lines()
        finally:
            server.close()

    def compare(self, name, expected, found):
        if not self.options.gpu:
            same = digest(expected) == digest(found)
            self.say(name, same, ", ".join(each[:10] for each in digest(found)) + ("" if same else " differ"))
            return
        least = min(decibels(*pair) for pair in zip(expected, found, strict=True))
        self.say(name, least >= LEAST_DB, f"{least:.1f} dB")

    def starts(self):
        """Compares what a start takes: without the extension and with it in turn, the least of each."""
        times = {}
        for name, extensions in (("start without", {}), ("start with", self.ours)) * 3:
            server = self.server(f"{name} {time.monotonic_ns()}", extensions)
            try:
                server.start()
                times.setdefault(name, []).append(server.cpu_seconds())
                server.stop()
            finally:
                server.close()
        without, ours = (min(times[name]) for name in ("start without", "start with"))
        self.say("start", ours - without <= SLOWER_S, f"{ours:.2f} s of computing, {without:.2f} s without")

    def stops(self):
        """Ends it in every way, after a job."""
        for name, end in (
            ("SIGTERM", lambda server: server.process.send_signal(signal.SIGTERM)),
            ("SIGINT", lambda server: server.process.send_signal(signal.SIGINT)),
            ("server-stop", lambda server: server.ask("server-stop", {})),
            ("server-restart", lambda server: last_words(server, "server-restart")),
            ("server-kill", lambda server: last_words(server, "server-kill")),
        ):
            # With this it says to its starter, by a file in its own folder, that it is to be started again.
            note = self.options.webui / "tmp/restart"
            server = self.server(name, self.ours, {"SD_WEBUI_RESTART": "tmp/restart"})
            try:
                server.start()
                begin = time.monotonic()
                end(server)
                self.say(name, True, f"ended after {server.ended(begin):.1f} s")
            except AssertionError as problem:
                self.say(name, False, problem)
            finally:
                server.close()
                note.unlink(missing_ok=True)

    def browser(self):
        if not self.options.chromium:
            print("no browser: reloading with the tab open is NOT checked")
            return
        import pages

        server = self.server("browser", self.ours)
        try:
            server.start()
            with pages.opened(server, self.options.chromium) as (watching, pressing):
                count = pages.updates(watching, 10)
                self.say("updates of the tab in 10 s", 5 <= count <= 11, count)
                times = [pages.reload(server, watching, pressing) for _ in range(self.options.reloads)]
                self.say("reloads", True, f"{len(times)}, up to {max(times, default=0):.1f} s each")
                count = pages.updates(watching, 5)
                self.say("updates after them in 5 s", count > 0, count)
                begin = time.monotonic()
                server.ask("server-stop", {})
                self.say("server-stop with the tab open", True, f"{server.ended(begin):.1f} s")
            server.start()
            with pages.opened(server, self.options.chromium) as (_, pressing):
                self.say("'Apply and quit' with the tab open", True, f"{pages.apply(server, pressing):.1f} s")
        except AssertionError as problem:
            self.say("browser", False, problem)
        finally:
            server.close()


def last_words(server, path):
    """Asks for something that ends the web UI before it replies."""
    try:
        server.ask(path, {})
    except OSError:
        return


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
