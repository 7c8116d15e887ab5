"""Checks a whole web UI of Forge's family with the extension: `python3 tests/frontends/forge.py --help`.

It is started with the extension and without, in folders of its own, and both make the same pictures, job by job; it is
reloaded and stopped. Without a GPU the pictures must be the same files, where PyTorch computes them and where another
UNet that reads the same weights stands in for an engine (forge_pretend); with one, in larger sizes, where engines do,
at least 40 dB alike, and the same bits each time. What the web UI itself needs, such as HF_HOME, comes from the
environment.
"""
import argparse
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import forge_beside
import forge_changes
import server as servers
from counts import Counts
from forge_jobs import UNSTABLE, is_as_meant, small
from pictures import is_same, make
from server import Server, cpu_seconds, digest, scratch
from times import is_sdxl
from together import alone

HERE = Path(__file__).resolve().parent
# They take longer to start than A1111.
servers.START_S = 900
# Whose jobs are made by servers that are started once for all of them.
JOBS = ("pictures", "control", "loras", "random")
PARTS = (*JOBS, "larger", "changes", "times", "starts", "stops", "browser")
# Seconds by which the extension may delay the start.
SLOWER_S = 0.3
COMMON = ["--skip-prepare-environment", "--skip-python-version-check", "--skip-torch-cuda-test", "--api-server-stop"]
OLDER = ["--ckpt-dir", "--lora-dir", ["--always-cpu", "--all-in-fp32"], "--vae-in-fp32", ["--no-download-sd-model"]]
# What differs between them: the flags for folders, for a CPU, for a VAE in fp32 on a GPU, where one in bf16 differs by
# more than an engine does, and what they must not do.
KINDS = {
    "neo": ("--ckpt-dirs", "--lora-dirs", ["--cpu", "--force-fp32"], "--fp32-vae", []),
    "reforge": OLDER,
    "forge": OLDER,
}
# Previews ask for a file that is downloaded, and the switch of models in the middle of a pass is for Wan by default.
SETTINGS = {"live_previews_enable": False, "sdtrt_engine": "automatic", "token_merging_ratio": 0}
NEOS = {"refiner_use_steps": True, "show_refiner": True}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("webui", type=Path, help="its folder")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--models", type=Path, help="a folder with two checkpoints in Stable-diffusion, and perhaps a "
                        "LoRA in Lora; by default the web UI's own")
    parser.add_argument("--loras", type=Path, help="a folder with a LoRA; Lora among the models by default")
    parser.add_argument("--extension", type=Path, required=True, help="the extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--data-dir", type=Path, help="sdtrtd's data folder; none by default")
    parser.add_argument("--chromium", help="the browser")
    parser.add_argument("--tools", help="a folder with playwright, pillow and numpy; PYTHONPATH is the web UI's")
    parser.add_argument("--only", action="append", choices=PARTS, help="all by default")
    parser.add_argument("--job", action="append", help="jobs whose names have this; all by default")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--random", type=int, default=100, help="how many random jobs")
    parser.add_argument("--part", default="1/1", help="which of them with a GPU: 1/2 for every second one, 2/2 for the "
                        "others")
    parser.add_argument("--alone", type=Path, help="a file that is locked while times are measured")
    parser.add_argument("--seconds", type=float, default=600, help="none is timed and no random job made that "
                        "would begin after these")
    parser.add_argument("--starts", type=int, default=5, help="how many with the extension and without are compared")
    parser.add_argument("--without", action="store_true", help="stop and reload it without the extension too")
    parser.add_argument("--port", type=int, default=7965, help="the first of three")
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
        self.checkpoints, self.loras = models / "Stable-diffusion", (options.loras or models / "Lora").resolve()
        self.lora = next((file.stem for file in sorted(self.loras.glob("*.safetensors"))), None)
        self.failures = []

    def run(self):
        parts = self.options.only or PARTS
        if groups := [part for part in JOBS if part in parts and not (self.options.gpu and part == "random")]:
            self.jobs(groups)
        for part in parts:
            if part not in groups:
                getattr(self, part)()
        if self.failures:
            sys.exit("\n".join(["", *self.failures]))

    def say(self, name, fine, told):
        print(f"{'ok' if fine else 'BAD':4}{name:62} {told}", flush=True)
        if not fine:
            self.failures.append(f"{name}: {told}")

    @property
    def ours(self):
        return {"sdtrt": self.options.extension.resolve()}

    @property
    def engines(self):
        """Our extension, and what stands in for an engine."""
        return self.ours | ({} if self.options.gpu else {"zz-pretend": HERE / "forge_pretend"})

    def server(self, name, extensions, port=0, checkpoints=None, loras=None, nets=None, is_exact=True):
        """A web UI that is not yet started."""
        of_checkpoints, of_loras, cpu, vae, others = KINDS[self.options.kind]
        exact = [vae] if is_exact else []
        flags = [*COMMON, *others, *(exact if self.options.gpu else cpu), of_checkpoints,
                 checkpoints or self.checkpoints, of_loras, loras or self.loras,
                 *(["--controlnet-dir", nets] if nets else []), *self.options.argument]
        if self.options.kind == "neo":
            # It serves its own scripts and styles from its data folder only, and without them no button works.
            flags += ["--gradio-allowed-path", self.options.webui.resolve()]
        environment = {"SDTRT_DATA_DIR": str(self.options.data_dir or self.folder / "no daemon")}
        known = {} if self.options.gpu else {"small": HERE / "forge_small"}
        return Server(self.options.python, self.options.webui.resolve(), self.folder / name, self.options.port + port,
                      flags, known | extensions, environment)

    def started(self, ways, **folders):
        """Web UIs that make pictures, by their names. `ways` are their extensions."""
        stack = ExitStack()
        made = {name: self.server(name, extensions, port, **folders)
                for port, (name, extensions) in enumerate(ways.items())}
        for server in made.values():
            stack.callback(server.close)
        try:
            self.each(made, self.start)
        except BaseException:
            stack.close()
            raise
        return stack, made

    def start(self, server):
        server.start()
        set_all(server, SETTINGS | (NEOS if self.options.kind == "neo" else {}))

    def each(self, made, do):
        """Returns what `do` returns for each server: at once with a GPU, and in turn where a few cores do all."""
        with ThreadPoolExecutor(len(made) if self.options.gpu else 1) as pool:
            return dict(zip(made, pool.map(do, made.values()), strict=True))

    def jobs(self, groups):
        """Makes the same pictures without the extension and with engines. Without a GPU another UNet is in an engine's
        place, and the usual jobs are PyTorch's once more with the extension."""
        ways = {"without": {}}
        if self.options.gpu or "pictures" in groups:
            ways["with"] = self.ours
        if not self.options.gpu:
            ways["pretended"] = self.engines
        folders, kinds = self.files(groups)
        stack, made = self.started(ways, **folders)
        with stack:
            pictures, counts, begin = {}, {group: Counts() for group in groups}, time.monotonic()
            stack.callback(lambda: [print(f"{group}: {line}") for group in groups for line in counts[group].lines()])
            for group, job in self.all_jobs(groups, made["without"], kinds):
                if self.options.job and not any(name in job.name for name in self.options.job):
                    continue
                if group == "random" and time.monotonic() - begin > self.options.seconds:
                    print(f"random: the time was up before {job.name}, which is NOT made, nor are those after it")
                    break
                pictures[job.name] = self.compare(job, made, counts[group])
            if not self.options.gpu and "with" in made:
                said = made["with"].lines()
                self.say("one line", len(said) == 1, "; ".join(said) or "none")
        if "control" in groups:
            from forge_control import CHANGING

            for name in pictures.keys() & {*CHANGING} if "no ControlNet" in pictures else ():
                self.say(f"{name} changes the picture", pictures[name] != pictures["no ControlNet"], "")

    def small_checkpoints(self):
        """Returns the files of checkpoints but SDXL's."""
        return [file for file in sorted(self.checkpoints.glob("*.safetensors")) if not is_sdxl(file)]

    def titles(self, server):
        """Returns the titles of checkpoints: of two of SD 1.5, and those of SDXL."""
        found = sorted((each["title"], is_sdxl(each["filename"])) for each in server.ask("sd-models"))
        return [title for title, is_xl in found if not is_xl][:2], [title for title, is_xl in found if is_xl]

    def files(self, groups, first=None):
        """Returns the folders with the files that jobs need for a checkpoint, and the kinds of LoRAs in them."""
        first = first or self.small_checkpoints()[0]
        folders, kinds = {}, []
        if "control" in groups:
            import forge_control

            folders["nets"] = self.folder / "nets"
            forge_control.write_all(self.options.python, first, folders["nets"])
        if "loras" in groups or "random" in groups:
            import lora_files

            folders["loras"] = self.folder / f"loras of {first.stem}"
            folders["loras"].mkdir(exist_ok=True)
            kinds = lora_files.write_all(folders["loras"], first)
            for file in self.loras.glob("*.safetensors"):
                (folders["loras"] / file.name).symlink_to(file)
        return folders, kinds

    def all_jobs(self, groups, server, kinds):
        """Yields each job, and of which group it is."""
        import forge_jobs

        kind, gpu = self.options.kind, self.options.gpu
        titles, _ = self.titles(server)
        for group in groups:
            if group == "pictures":
                found = forge_jobs.usual(kind, titles, self.lora, gpu)
            elif group == "control":
                import forge_control

                found = forge_control.jobs(kind, titles[0], server, self.lora, gpu)
            elif group == "loras":
                found = forge_jobs.lora_kinds(kind, titles, kinds, gpu)
            else:
                found = forge_jobs.at_random(kind, titles, kinds, gpu, self.options.random)
            yield from ((group, job) for job in found)

    def compare(self, job, made, counts):
        """Makes a job's pictures and says of them whether they are those without the extension, whether an engine made
        them, and with a GPU whether they are the same bits twice. Returns what they are without."""

        def run(server):
            set_all(server, job.settings)
            is_again = self.options.gpu and job.twice and server is not made["without"]
            return make(server, job.path, job.body, twice=is_again)

        found = self.each(made, run)
        plain = found.pop("without")
        for name, ours in found.items():
            fine, told = is_same(plain, ours, exactly=not self.options.gpu)
            if self.options.gpu or name == "pretended":
                counts.note(job.name, plain, ours)
                as_meant, by = is_as_meant(job, ours)
                fine, told = fine and as_meant, f"{told:11} {by}"
            if ours.repeats:
                # Some are others at their first run without the extension too.
                unstable = ours.repeats.isupper() and is_unstable(job, plain, made["without"])
                fine = fine and (unstable or not ours.repeats.isupper())
                told += f"; {ours.repeats.lower() if unstable else ours.repeats}" + ", as without" * unstable
            self.say(f"{job.name}, {name}", fine, told)
        return digest(plain.files)

    def random(self):
        """Makes random jobs by PyTorch and by engines in one web UI, with a GPU."""
        forge_beside.random(self, set_all)

    def larger(self):
        """The same for SDXL at 1024."""
        forge_beside.larger(self, set_all)

    def changes(self):
        """Changes a checkpoint's file while it is loaded, and its weights in memory."""
        forge_changes.check(self)

    def times(self):
        """Measures what jobs take on a GPU, by PyTorch and by engines."""
        if not self.options.gpu:
            print("no GPU: what jobs take is NOT measured")
            return
        import forge_times

        folders, _ = self.files(["control"])
        stack, made = self.started({"times": self.ours | {"clock": forge_times.CLOCK}}, is_exact=False, **folders)
        with stack, alone(self.options.alone):
            jobs = forge_times.jobs(self.options.kind, made["times"], *self.titles(made["times"]))
            if self.options.job:
                jobs = (job for job in jobs if any(name in job[0] for name in self.options.job))
            for line in forge_times.measure(made["times"], set_all, jobs, self.options.seconds):
                print(line, flush=True)

    def starts(self):
        """Compares what a start takes: without the extension and with it in turn, the least of each."""
        times = {}
        for number in range(self.options.starts):
            for name, extensions in (("without", {}), ("with", self.ours)):
                stack, made = self.started({f"start {name} {number}": extensions})
                with stack:
                    for server in made.values():
                        times.setdefault(name, []).append(cpu_seconds(server.process.pid))
        if times:
            without, ours = (min(times[name]) for name in ("without", "with"))
            self.say("start", ours - without <= SLOWER_S, f"{ours:.2f} s of computing, {without:.2f} s without")

    def stops(self):
        """Ends it in every way, after a job."""
        ways = {
            "SIGTERM": (lambda server: server.process.send_signal(signal.SIGTERM), Server.ended),
            "server-stop": (lambda server: server.ask("server-stop", {}), Server.closed),
        }
        which = {"": self.ours} | ({" without": {}} if self.options.without else {})
        for name, (end, ended), extensions in [(way + of, ways[way], which[of]) for way in ways for of in which]:
            try:
                stack, made = self.started({name: extensions})
                with stack:
                    server = made[name]
                    make(server, "txt2img", small())
                    begin = time.monotonic()
                    end(server)
                    self.say(name, True, f"{ended.__name__} after {ended(server, begin):.1f} s")
            except AssertionError as problem:
                self.say(name, False, problem)

    def browser(self):
        if not self.options.chromium:
            print("no browser: reloading with the tab open is NOT checked")
            return
        import forge_pages

        for of, extensions in ({"": self.ours} | ({" without": {}} if self.options.without else {})).items():
            try:
                stack, made = self.started({f"browser{of}": extensions})
                with stack:
                    [server] = made.values()
                    for name, told in forge_pages.check(
                        server, self.options.chromium, self.options.reloads, bool(extensions)
                    ):
                        self.say(name + of, True, told)
            except AssertionError as problem:
                self.say(f"browser{of}", False, problem)


def set_all(server, settings):
    """Changes settings, of which each front end knows others. What an extension adds it takes and doesn't list."""
    if settings:
        known = {*server.ask("options"), *(["sdtrt_engine"] if (server.data / "extensions/sdtrt").exists() else [])}
        server.ask("options", {name: value for name, value in settings.items() if name in known})


def is_unstable(job, plain, server):
    """Whether the web UI without the extension makes other bits too when a job is done again."""
    return job.name in UNSTABLE or digest(make(server, job.path, job.body).files) != digest(plain.files)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
