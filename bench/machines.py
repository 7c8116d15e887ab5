"""Machines that share a store: daemons on this host, each with folders of its own, in a folder that is removed at the
end. They sign with one key."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "webui"))

from sdtrt.daemon import NoAnswer, ask

# What the shell that runs this has set must not change what is measured.
OURS = ("SDTRT_", "XDG_")


def add_arguments(parser):
    programs = "the folder of sdtrtd, sdtrtctl, sdtrt-worker and goldens, such as target/release"
    parser.add_argument("programs", type=Path, metavar="PROGRAMS", help=programs)
    parser.add_argument("--within", type=Path, help="where to make the folder of this run; by default in /tmp")


@contextmanager
def site(options):
    """Yields a site, and ends its machines and removes its folder however the run ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory(prefix="sdtrt-", dir=options.within) as folder:
        here = Site(options.programs.resolve(), Path(folder).resolve())
        try:
            yield here
        finally:
            for machine in here.machines:
                machine.process.terminate()
            for machine in here.machines:
                machine.process.wait()


class Site:
    """The store, the key and the machines."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.machines = programs, folder, []
        self.store = folder / "store"
        self.store.mkdir()
        store = {"url": f"file://{self.store}", "mode": "read-write", "key": str(folder / "store.key")}
        self.sharing = store | {"trusted_keys": [self.make_key(store)]}

    def make_key(self, store):
        """Makes the key that all machines sign with. Returns its public part."""
        config = self.folder / "key.toml"
        config.write_text(toml({}, store))
        command = [self.programs / "sdtrtctl", "--config", config, "--json", "store", "keygen"]
        made = subprocess.run(command, env=environment(self.folder), check=True, stdout=subprocess.PIPE)
        return json.loads(made.stdout)["public_key"]

    def golden(self, path, *arguments):
        """Writes a checkpoint with random weights."""
        subprocess.run([self.programs / "goldens", *arguments, path], check=True)

    def start(self, name, models=None, tables="", **settings):
        """Starts another machine, whose models are in this folder, or else in one of its own. `tables` ends its
        configuration."""
        machine = Machine(self, self.folder / name, models, settings, tables)
        self.machines.append(machine)
        return machine


class Machine:
    """A daemon and its folders."""

    def __init__(self, site, home, models, settings, tables):
        self.home, self.models = home, models or home / "models"
        self.socket, self.log, self.port = home / "socket", home / "log", free_port()
        (home / "run").mkdir(parents=True, mode=0o700)
        self.models.mkdir(exist_ok=True)
        settings |= {
            "models_dirs": [str(self.models)],
            "data_dir": str(home / "data"),
            "socket": str(self.socket),
            "metrics": f"127.0.0.1:{self.port}",
        }
        config = home / "sdtrtd.toml"
        config.write_text(f"{toml(settings, site.sharing)}\n{tables}")
        command = [site.programs / "sdtrtd", "--config", config]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment(home), stdout=log, stderr=log)

    def ask(self, request):
        """Returns the daemon's answer, or nothing while it starts."""
        try:
            return ask(self.socket, request)
        except NoAnswer:
            if self.process.poll() is not None:
                raise SystemExit(f"sdtrtd has ended:\n{self.log.read_text()[-2000:]}") from None
            return None

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return kept | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}


def toml(settings, store):
    lines = lambda table: "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    return f"{lines(settings)}[store]\n{lines(store)}"


def until(true, seconds, every):
    """Returns the first answer that counts as true."""
    end = time.monotonic() + seconds
    while not (answer := true()):
        if time.monotonic() > end:
            raise SystemExit(f"not reached in {seconds:.0f} s")
        time.sleep(every)
    return answer


def host():
    return f"{len(os.sched_getaffinity(0))} cores"


def table(*head):
    print(f"\n| {' | '.join(head)} |\n| --- |{' --: |' * (len(head) - 1)}")


def row(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)
