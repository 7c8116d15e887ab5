"""Checks a whole AUTOMATIC1111 web UI with the extension: `python3 tests/frontends/a1111.py --help`.

It is started with the extension and without, in folders of its own, makes the same pictures, is unloaded, reloaded and
stopped. Without a GPU the pictures must be the same files, where PyTorch computes them and where another UNet that
reads the same weights stands in for an engine (pretend); with one, where engines do, at least 40 dB alike. What the web
UI itself needs, such as HF_HOME, comes from the environment.
"""
import argparse
import os
import sys
import time
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import endings
import starting
from server import Server, cpu_seconds, scratch

HERE = Path(__file__).resolve().parent
PARTS = ("pictures", "pretended", "loras", "changes", "random", "starts", "stops", "browser")
# Jobs that no engine serves.
NOT_SERVED = ("SD Unet is None", "tiling", "regions, Attention", "regions with LoRAs, Latent",
              "a bias that the UNet has not", "unloaded, then None is chosen")
# What the web UI alone can't: 1.10 fails once a LoRA has given a layer a bias, 1.6 without a GPU once it has unloaded
# its model for the second time.
CANNOT = ("a bias that the UNet has not", "unloaded, then None is chosen", "and Automatic")
# An engine knows nothing of it, as is documented.
OTHER_PICTURES = ("token merging",)
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
    parser.add_argument("--only", action="append", choices=PARTS, help="all by default")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--starts", type=int, default=5, help="how many with the extension and without are compared")
    parser.add_argument("--without", action="store_true", help="stop and reload it without the extension too")
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
        self.checkpoints, self.lora_folder = models / "Stable-diffusion", models / "Lora"
        self.flags = [*FLAGS, *([] if options.gpu else ["--use-cpu", "all"]), *options.argument]
        self.lora = next((file.stem for file in sorted(self.lora_folder.glob("*.safetensors"))), None)
        self.failures = []

    def server(self, name, extensions, environment=(), checkpoints=None, loras=None):
        environment = dict(environment) | {"SDTRT_DATA_DIR": str(self.options.data_dir or self.folder / "no daemon")}
        flags = ["--ckpt-dir", checkpoints or self.checkpoints, "--lora-dir", loras or self.lora_folder, *self.flags]
        return Server(self.options.python, self.options.webui.resolve(), self.folder / name, self.options.port, flags,
                      extensions, environment)

    @property
    def ours(self):
        return {"sdtrt": self.options.extension.resolve()}

    @property
    def engines(self):
        """Our extension, and without a GPU what stands in for an engine."""
        return self.ours | ({} if self.options.gpu else {"zz-pretend": HERE / "pretend"})

    def run(self):
        for part in self.options.only or PARTS:
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
        return self.usual("without", self.others)[0]

    @property
    def others(self):
        regions = self.options.regional_prompter
        return {} if regions is None else {"regions": regions.resolve()}

    def pictures(self):
        """Makes the same pictures with the extension."""
        ours, said = self.usual("with", self.others | self.ours)
        self.compare(self.plain, ours, served=self.options.gpu)
        if not self.options.gpu:
            self.say("one line", len(said) == 1, "; ".join(said) or "none")

    def pretended(self):
        """Makes them with another UNet in an engine's place."""
        if not self.options.gpu:
            self.compare(self.plain, self.usual("pretended", self.others | self.engines)[0])

    def usual(self, name, extensions):
        """Returns what is made of the usual jobs, and the lines of our extension."""
        from jobs import all_jobs, regional_jobs
        from pictures import make

        with self.started(name, extensions) as server:
            titles = [each["title"] for each in server.ask("sd-models")][:2]
            jobs = all_jobs(titles, self.lora)
            if "regions" in extensions:
                jobs += regional_jobs(titles, self.lora)
            made = {job: make(server, path, body) for job, path, body in jobs}
            server.ask("unload-checkpoint", {})
            server.ask("reload-checkpoint", {})
            made["after unloading"] = make(server, *jobs[0][1:])
            server.ask("options", {"sd_unet": "Automatic"})
            made["after a change of settings"] = make(server, *jobs[0][1:])
            return made, server.lines()

    def loras(self):
        """Makes pictures with every kind of LoRA."""
        from varied_jobs import lora_jobs

        self.both("LoRA", lambda titles, kinds: lora_jobs(titles[0], kinds))

    def random(self):
        """Makes a hundred pictures of which each is another."""
        from lora_files import NOT_SERVED as unserved
        from varied_jobs import random_jobs

        self.both("random", lambda titles, kinds: random_jobs(titles, [kind for kind in kinds if kind not in unserved]))

    def both(self, name, jobs):
        """Makes pictures without the extension and by engines. `jobs` gets the checkpoints and the kinds of LoRAs."""
        import lora_files
        from pictures import make

        folder = self.folder / f"{name} files"
        folder.mkdir()
        kinds = lora_files.write_all(folder, min(self.checkpoints.glob("*.safetensors")))
        made = []
        for added, extensions in ((" without", {}), ("", self.engines)):
            with self.started(name + added, extensions, loras=folder) as server:
                titles = [each["title"] for each in server.ask("sd-models")][:2]
                made.append({job: make(server, path, body) for job, path, body in jobs(titles, kinds)})
        self.compare(*made)

    def changes(self):
        """Changes a checkpoint in every way while it is loaded."""
        import changes
        from pictures import make

        made = []
        for added, extensions in ((" without", {}), ("", self.engines)):
            files = changes.copied(self.checkpoints, self.folder / f"changed{added}")
            extensions = extensions | {"merging": HERE / "merging"}
            with self.started(f"changes{added}", extensions, checkpoints=files[0].parent) as server:
                of = lambda path, body, server=server: make(server, path, body)
                made.append(dict(changes.run(server, *files, of)))
        self.compare(*made)

    @contextmanager
    def started(self, name, extensions, **folders):
        """A web UI that makes pictures."""
        server = self.server(name, extensions, **folders)
        try:
            server.start()
            # A job restores only settings that have been set.
            server.ask("options", {"sd_unet": "Automatic", "token_merging_ratio": 0})
            assert len(server.ask("sd-models")) > 1, "it needs two checkpoints"
            yield server
        finally:
            server.close()

    def compare(self, plain, ours, served=True):
        """Says of each job whether its pictures are those without the extension, and whether an engine made them."""
        from pictures import is_same

        for name, expected in plain.items():
            if not expected.files:
                self.say(name, name in CANNOT, f"the web UI alone: {'; '.join(expected.lines)}")
                continue
            same, told = is_same(expected, ours[name], exactly=not self.options.gpu)
            same = same or (served and name in OTHER_PICTURES)
            # Version 1.6 calls none after it has unloaded its model.
            uncalled = any("calls no engines" in line for line in ours[name].lines)
            as_meant = not served or ours[name].is_served == (name not in NOT_SERVED and not uncalled)
            by = ("served" if ours[name].is_served else "PyTorch") if served else ""
            self.say(name, same and as_meant, f"{by:9}{told}")

    def starts(self):
        """Compares what a start takes: without the extension and with it in turn."""

        def start(name, extensions):
            server = self.server(f"{name} {time.monotonic_ns()}", extensions)
            try:
                begin = time.monotonic()
                server.start()
                taken = starting.Start(time.monotonic() - begin, cpu_seconds(server.process.pid))
                server.stop()
                return taken
            finally:
                server.close()

        ways = {"without": {}, "with": self.ours}
        self.say("start", *starting.compare(start, ways, self.options.starts))

    @property
    def compared(self):
        """With our extension and, if asked, without: what is added to a name, and the extensions."""
        return [("", self.ours), *([(", without", {})] if self.options.without else [])]

    def stops(self):
        """Ends it in every way, with its page open in the browser."""
        for added, extensions in self.compared:
            for name, end in endings.ways(self.options.chromium):
                server = self.server(name + added, extensions, {"SD_WEBUI_RESTART": endings.RESTART})
                try:
                    took = endings.seconds_to_end(server, end, self.options.chromium, bool(extensions))
                    self.say(name + added, True, f"ended after {took:.1f} s")
                except AssertionError as problem:
                    self.say(name + added, not extensions, problem)

    def browser(self):
        """Reloads it with its page open in the browser."""
        if not self.options.chromium:
            print("no browser: reloading with the tab open is NOT checked")
            return
        for added, extensions in self.compared:
            server = self.server(f"browser{added}", extensions)
            times, updates, problem = endings.reloads(
                server, self.options.chromium, self.options.reloads, bool(extensions)
            )
            if extensions:
                self.say("updates of the tab in 10 s", min(updates, default=0) >= 5 and max(updates) <= 11, updates)
            told = f"{len(times)} of {self.options.reloads}, up to {max(times, default=0):.1f} s each"
            self.say(f"reloads{added}", problem is None or not extensions, f"{told}; {problem}" if problem else told)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
