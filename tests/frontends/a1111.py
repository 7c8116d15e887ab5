"""Checks a whole AUTOMATIC1111 web UI with the extension: `python3 tests/frontends/a1111.py --help`.

It is started with the extension and without, in folders of its own, makes the same pictures, is unloaded, reloaded and
stopped. Without a GPU the pictures must be the same files, where PyTorch computes them and where another UNet that
reads the same weights stands in for an engine (pretend). With one, jobs have people's sizes and engines compute: the
pictures must be at least 40 dB alike, and the same files twice. What the web UI itself needs, such as HF_HOME, comes
from the environment.
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
PARTS = ("pictures", "pretended", "loras", "changes", "random", "starts", "stops", "browser", "times")
# Jobs that no engine serves.
NOT_SERVED = ("SD Unet is None", "tiling", "regions, Attention", "regions with LoRAs, Latent",
              "a bias that the UNet has not", "unloaded, then None is chosen")
# What the web UI alone can't: 1.10 fails once a LoRA has given a layer a bias, 1.6 without a GPU once it has unloaded
# its model for the second time, and later versions with one as soon as they have unloaded it: it then stays on the CPU.
CANNOT = ("a bias that the UNet has not", "unloaded, then a job", "unloaded, then None is chosen", "and Automatic")
# An engine knows nothing of it, as is documented.
OTHER_PICTURES = ("token merging",)
FLAGS = ["--skip-prepare-environment", "--skip-python-version-check", "--skip-torch-cuda-test",
         "--no-download-sd-model", "--do-not-download-clip", "--api-server-stop"]
# With random weights a VAE may give NaN in fp16.
ON_CPU, ON_GPU = ["--use-cpu", "all", "--no-half"], ["--opt-sdp-attention", "--no-half-vae", "--disable-nan-check"]
# A job restores only settings that have been set. Previews ask for a file that is downloaded.
SETTINGS = {"sd_unet": "Automatic", "token_merging_ratio": 0, "live_previews_enable": False}
# Full-size checkpoints take seconds to load, and as long to get to the GPU and back.
KEEP_TWO = {"sd_checkpoints_limit": 2, "sd_checkpoints_keep_in_cpu": False}
# Of random jobs on a GPU: a hundred are to be done within minutes.
RANDOM_STEPS = 8


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
    parser.add_argument("--controlnet", type=Path, help="the folder of sd-webui-controlnet, for `times`; control.py "
                        "checks it")
    parser.add_argument("--only", action="append", choices=PARTS, help="all by default")
    parser.add_argument("--job", action="append", default=[], help="usual jobs, LoRAs and random ones whose names have "
                        "this; all by default")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--starts", type=int, default=5, help="how many with the extension and without are compared")
    parser.add_argument("--seconds", type=float, default=1e9, help="how long the random pictures without the extension "
                        "may take; those that are made by then are compared")
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
        self.flags = [*FLAGS, *(ON_GPU if options.gpu else ON_CPU), *options.argument]
        self.lora = next((file.stem for file in sorted(self.lora_folder.glob("*.safetensors"))), None)
        # Jobs that are not as they should be, and all that the extension has said in the last run of the usual ones.
        self.failures, self.said = [], []

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
        print(f"{'ok' if fine else 'BAD':4}{name:45} {told}", flush=True)
        if not fine:
            self.failures.append(f"{name}: {told}")

    def make(self, server, path, body, twice=True, steps=None):
        """Makes a job's pictures: with a GPU in people's sizes, and twice if an engine may compute."""
        from jobs import STEPS, full_size
        from pictures import make

        if not self.options.gpu:
            return make(server, path, body)
        return make(server, path, full_size(body, steps or STEPS), twice)

    @cached_property
    def plain(self):
        """The pictures without the extension."""
        return dict(self.usual("without", self.others, twice=False))

    @property
    def others(self):
        regions = self.options.regional_prompter
        return {} if regions is None else {"regions": regions.resolve()}

    def pictures(self):
        """Makes the same pictures with the extension."""
        self.compare(self.plain, self.usual("with", self.others | self.ours), served=self.options.gpu)
        if not self.options.gpu:
            self.say("one line", len(self.said) == 1, "; ".join(self.said) or "none")

    def pretended(self):
        """Makes them with another UNet in an engine's place."""
        if not self.options.gpu:
            self.compare(self.plain, self.usual("pretended", self.others | self.engines))

    def usual(self, name, extensions, twice=True):
        """Yields the name of each usual job, and what is made of it."""
        from jobs import all_jobs, regional_jobs

        with self.started(name, extensions) as server:
            titles = [each["title"] for each in server.ask("sd-models")][:2]
            jobs = all_jobs(titles, self.lora)
            if "regions" in extensions:
                jobs += regional_jobs(titles, self.lora)
            for job, path, body in filter(self.wanted, jobs):
                yield job, self.make(server, path, body, twice)
            server.ask("unload-checkpoint", {})
            server.ask("reload-checkpoint", {})
            yield "after unloading", self.make(server, *jobs[0][1:], twice)
            server.ask("options", {"sd_unet": "Automatic"})
            yield "after a change of settings", self.make(server, *jobs[0][1:], twice)
            self.said = server.lines()

    def wanted(self, job):
        return not self.options.job or any(name in job[0] for name in self.options.job)

    def loras(self):
        """Makes pictures with every kind of LoRA."""
        from varied_jobs import lora_jobs

        self.both("LoRA", lambda titles, kinds: lora_jobs(titles[0], kinds), beside="no LoRA")

    def random(self):
        """Makes a hundred pictures of which each is another."""
        from lora_files import NOT_SERVED as unserved
        from varied_jobs import random_jobs

        def jobs(titles, kinds):
            return random_jobs(titles, [kind for kind in kinds if kind not in unserved], few=self.options.gpu)

        self.both("random", jobs, self.options.seconds, steps=RANDOM_STEPS)

    @cached_property
    def lora_files(self):
        """A folder with a file of each kind of LoRA, and their names."""
        import lora_files

        folder = self.folder / "LoRA files"
        folder.mkdir()
        return folder, lora_files.write_all(folder, min(self.checkpoints.glob("*.safetensors")))

    def both(self, name, jobs, seconds=1e9, beside=None, steps=None):
        """Makes pictures without the extension for so long, and the same by engines. `jobs` gets the checkpoints and
        the kinds of LoRAs."""
        folder, kinds = self.lora_files

        def made(added, extensions, which):
            with self.started(name + added, extensions, loras=folder) as server:
                titles = [each["title"] for each in server.ask("sd-models")][:2]
                if self.options.gpu:
                    server.ask("options", KEEP_TWO)
                begin = time.monotonic()
                for job, path, body in filter(self.wanted, jobs(titles, kinds)):
                    if which(job, time.monotonic() - begin):
                        # Each of the random ones is another anyway.
                        yield job, self.make(server, path, body, bool(added == "" and beside), steps)

        plain = dict(made(" without", {}, lambda job, passed: passed < seconds))
        self.compare(plain, made("", self.engines, lambda job, passed: job in plain), beside=beside)

    def changes(self):
        """Changes a checkpoint in every way while it is loaded."""
        import changes

        def made(added, extensions):
            files = changes.copied(self.checkpoints, self.folder / f"changed{added}")
            extensions = extensions | {"merging": HERE / "merging"}
            with self.started(f"changes{added}", extensions, checkpoints=files[0].parent) as server:
                yield from changes.run(server, *files, lambda path, body: self.make(server, path, body, not added))

        self.compare(dict(made(" without", {})), made("", self.engines))

    @contextmanager
    def started(self, name, extensions, **folders):
        """A web UI that makes pictures."""
        server = self.server(name, extensions, **folders)
        try:
            server.start()
            server.ask("options", SETTINGS)
            assert len(server.ask("sd-models")) > 1, "it needs two checkpoints"
            yield server
        finally:
            server.close()

    def compare(self, plain, ours, served=True, beside=None):
        """Says of each job, as soon as it is done, whether its pictures are those without the extension, and whether an
        engine made them; with a GPU also how alike they are to those of the job `beside`."""
        from counts import Counts
        from pictures import alike, have_one_size, is_same

        found, counts = {}, Counts()
        for name, made in ours:
            found[name] = made
            expected = plain[name]
            if not expected.files:
                self.say(name, name in CANNOT, f"the web UI alone: {'; '.join(expected.lines)}")
                continue
            same, told = is_same(expected, made, exactly=not self.options.gpu)
            if name not in OTHER_PICTURES:
                counts.note(name, expected, made)
            same = same or (served and name in OTHER_PICTURES)
            if not served:
                self.say(name, same, f"{'':9}{told}")
                continue
            # Version 1.6 calls none after it has unloaded its model.
            uncalled = any("calls no engines" in line for line in made.lines)
            meant = name not in NOT_SERVED and not uncalled
            as_meant = made.is_served == meant or made.is_by_choice
            repeats = made.repeats if made.is_served and not made.by_pytorch else ""
            if beside in plain and name != beside and have_one_size(expected, plain[beside]):
                told += f" ({alike(expected, plain[beside]):.0f} beside {beside})"
            why = "; ".join(dict.fromkeys(made.by_pytorch if as_meant else made.lines)) if meant else ""
            by = "served" if made.is_served else "PyTorch"
            told = ", ".join(filter(None, (f"{by:9}{told}", repeats, why)))
            self.say(name, same and as_meant and not repeats.isupper(), told)
        if served:
            print("", *counts.lines(), sep="\n    ", flush=True)
        if plain.keys() - found:
            self.say("all jobs", False, f"{len(plain.keys() - found)} are missing")

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

    def times(self):
        """Times PyTorch beside engines, in one run."""
        if self.options.gpu:
            import times

            times.run(self)

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
            times, asked, problem = endings.reloads(
                server, self.options.chromium, self.options.reloads, bool(extensions)
            )
            if extensions:
                self.say("what the idle tab asks in 10 s", asked == [0, 0], asked)
            told = f"{len(times)} of {self.options.reloads}, up to {max(times, default=0):.1f} s each"
            self.say(f"reloads{added}", problem is None or not extensions, f"{told}; {problem}" if problem else told)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
