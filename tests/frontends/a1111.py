"""Checks a whole AUTOMATIC1111 web UI with the extension: `python3 tests/frontends/a1111.py --help`.

It is started with the extension and without, in folders of its own, makes the same pictures, is unloaded, reloaded and
stopped. Without a GPU the pictures must be the same files, where PyTorch computes them and where another UNet that
reads the same weights stands in for an engine (pretend). With one, jobs have people's sizes and engines compute: the
pictures must be at least 40 dB alike, and the same files twice. What the web UI itself needs, such as HF_HOME, comes
from the environment.
"""
import os
import sys
import time
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import endings
import starting
from a1111_options import PARTS, parsed
from server import Server, cpu_seconds, scratch
from together import Ahead

HERE = Path(__file__).resolve().parent
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
# What is added to the port of a web UI that runs beside ours.
ALONE = 10


def main():
    options = parsed(__doc__.partition("\n")[0])
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
        self.failures, self.said, self.servers = [], [], []
        self.part = tuple(map(int, options.part.split("/")))

    def server(self, name, extensions, environment=(), checkpoints=None, loras=None, port=0):
        environment = dict(environment) | {"SDTRT_DATA_DIR": str(self.options.data_dir or self.folder / "no daemon")}
        flags = ["--ckpt-dir", checkpoints or self.checkpoints, "--lora-dir", loras or self.lora_folder, *self.flags]
        self.servers.append(Server(self.options.python, self.options.webui.resolve(), self.folder / name,
                                   self.options.port + port, flags, extensions, environment))
        return self.servers[-1]

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

    def make(self, server, path, body, twice=True, is_large=False):
        """Makes a job's pictures: with a GPU in people's sizes, and twice if an engine may compute."""
        from jobs import full_size
        from pictures import make

        if not self.options.gpu:
            return make(server, path, body)
        return make(server, path, body if is_large else full_size(body), twice)

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
        from a1111_jobs import random_part
        from lora_files import NOT_SERVED as unserved
        from varied_jobs import random_jobs

        def jobs(titles, kinds):
            kinds = [kind for kind in kinds if kind not in unserved]
            return random_part(titles, kinds, self.part) if self.options.gpu else random_jobs(titles, kinds)

        self.both("random", jobs)

    def larger(self):
        """Makes SDXL's pictures, if there is a checkpoint of it and a GPU."""
        from a1111_jobs import larger
        from times import is_sdxl

        found = next((file for file in sorted(self.checkpoints.glob("*.safetensors")) if is_sdxl(file)), None)
        if self.options.gpu and found is not None:
            title = lambda titles: next(title for title in titles if title.startswith(found.name))
            self.both("larger", lambda titles, kinds: larger(title(titles), kinds), of=found)

    def lora_files(self, checkpoint):
        """Makes a folder with a file of each kind of LoRA, and returns it with their names."""
        import lora_files

        folder = self.folder / f"LoRA files of {checkpoint.stem}"
        folder.mkdir(exist_ok=True)
        return folder, lora_files.write_all(folder, checkpoint)

    def both(self, name, jobs, beside=None, of=None):
        """Makes pictures without the extension, and the same by engines; with a GPU at the same time. `jobs` gets the
        checkpoints and the kinds of LoRAs; they are `of` one checkpoint, a large one, if that is given."""
        folder, kinds = self.lora_files(of or min(self.checkpoints.glob("*.safetensors")))
        begin = time.monotonic()

        def made(added, extensions, port=0):
            with self.started(name + added, extensions, loras=folder, port=port) as server:
                titles = [each["title"] for each in server.ask("sd-models")][: None if of else 2]
                if self.options.gpu:
                    server.ask("options", KEEP_TWO if of is None else {})
                for job, path, body in filter(self.wanted, jobs(titles, kinds)):
                    if time.monotonic() - begin > self.options.seconds:
                        break
                    # Each of the random ones is another anyway.
                    twice = bool(added == "" and beside) and not self.options.once
                    yield job, self.make(server, path, body, twice, is_large=name != "LoRA")

        if not self.options.gpu:
            self.compare(dict(made(" without", {})), made("", self.engines), beside=beside)
            return
        try:
            plain = Ahead(made(" without", {}, ALONE))
            self.compare(plain, made("", self.engines), beside=beside, is_whole=False)
            plain.finished()
        finally:
            for server in self.servers:
                server.close()

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

    def compare(self, plain, ours, served=True, beside=None, is_whole=True):
        """Says of each job, as soon as it is done, whether its pictures are those without the extension, and whether an
        engine made them; with a GPU also how alike they are to those of the job `beside`."""
        from counts import Counts

        found, counts = set(), Counts()
        try:
            self.compare_each(plain, ours, served, beside, found, counts)
        finally:
            if served:
                print("", *counts.lines(), sep="\n    ", flush=True)
        if is_whole and plain.keys() - found:
            self.say("all jobs", False, f"{len(plain.keys() - found)} are missing")

    def compare_each(self, plain, ours, served, beside, found, counts):
        """Does so, and adds what there was to `found` and `counts`."""
        from pictures import alike, have_one_size, is_same

        for name, made in ours:
            found.add(name)
            expected = plain.get(name)
            if expected is None:
                print(f"    {name:45} not made without the extension", flush=True)
                continue
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
            # Of those that were made: what is still to come is waited for.
            other = plain.get(beside) if name != beside and beside in found else None
            if other is not None and have_one_size(expected, other):
                told += f" ({alike(expected, other):.0f} beside {beside})"
            why = "; ".join(dict.fromkeys(made.by_pytorch if as_meant else made.lines)) if meant else ""
            by = "served" if made.is_served else "PyTorch"
            told = ", ".join(filter(None, (f"{by:9}{told}", repeats, why)))
            self.say(name, same and as_meant and not repeats.isupper(), told)

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
