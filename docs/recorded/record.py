"""Records sdtrtctl in a terminal, with a real daemon that builds real engines for full-size checkpoints of random
weights: `python3 docs/recorded/record.py PROGRAMS TENSORRT`, where PROGRAMS is the folder of sdtrtd, sdtrtctl,
sdtrt-worker and goldens, as `cargo xtask build --release` leaves them, and TENSORRT that of its libraries. Writes the
pictures beside this file; `bench` only if there is a GPU, whose validations it shows. Needs pyte 0.8.2, and 5 GB below
$TMPDIR in a folder `me`, whose name the pictures show.
"""
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pyte
from picture import Frame, moving, still

HERE = Path(__file__).parent
COLUMNS = 112

# Seconds between two looks at what moves, and how long the picture takes.
EACH, LENGTH = 0.5, 15


class Terminal:
    """Runs a command as in a terminal of this size."""

    def __init__(self, command, environment, rows):
        self.screen = pyte.Screen(COLUMNS, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, environment)
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, COLUMNS, 0, 0))

    def read(self, seconds):
        """Reads for so long; False once the command has ended."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                break
            try:
                self.stream.feed(os.read(self.master, 65536))
            except OSError:
                return False
        return True

    def end(self):
        os.kill(self.pid, signal.SIGINT)
        while self.read(0.2):
            pass
        os.waitpid(self.pid, 0)


class Session:
    """A daemon whose folders are below `folder`, and its user."""

    def __init__(self, programs, tensorrt, folder):
        self.programs, self.folder, self.models = programs, folder, folder / "models"
        self.models.mkdir()
        config = folder / "sdtrtd.toml"
        config.touch()
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8",
                            "SDTRT_SOCKET": str(folder / "socket"), "SDTRT_CONFIG": str(config),
                            # Somebody waits.
                            "SDTRT_PRIORITY": "normal", "SDTRT_BUILD": "always"}
        flags = ["--config", config, "--socket", folder / "socket", "--models-dir", self.models,
                 "--data-dir", folder / "sdtrt"]
        # As `sdtrtctl runtime install` leaves it.
        (folder / "sdtrt/runtime").mkdir(parents=True)
        (folder / "sdtrt/runtime" / tensorrt.name).symlink_to(tensorrt)
        with open(folder / "log", "w") as log:
            self.daemon = subprocess.Popen(
                [programs / "sdtrtd", *flags], env=self.environment, stderr=log, stdout=subprocess.DEVNULL)
        while self.run("status").returncode != 0:
            assert self.daemon.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)

    def run(self, *words):
        command = [self.programs / "sdtrtctl", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def is_working(self):
        status = json.loads(self.run("status", "--json").stdout)
        return bool(status["building"] or status["queue"])

    def is_ready(self):
        return "ready" in self.run("list").stdout

    def terminal(self, *words, rows):
        return Terminal([str(self.programs / "sdtrtctl"), *words], self.environment, rows)

    def shown(self, *words, rows=90):
        """What a command leaves on the screen, below what was typed."""
        terminal = self.terminal(*words, rows=rows)
        while terminal.read(0.2):
            pass
        os.waitpid(terminal.pid, 0)
        return Frame.of(terminal.screen).below("$ sdtrtctl " + " ".join(words))


def main():
    programs, tensorrt = map(Path, sys.argv[1:])
    folder = Path(tempfile.gettempdir(), "me")
    folder.mkdir()
    try:
        made = [folder / f"{name}.safetensors" for name in ("portrait", "landscape")]
        for seed, path in enumerate(made):
            subprocess.run([programs / "goldens", "--full-size", "sd15", f"--seed={seed}", path], check=True)
        session = Session(programs, tensorrt, folder)
        try:
            record(session, made)
        finally:
            session.daemon.terminate()
            session.daemon.wait()
    finally:
        shutil.rmtree(folder)


def record(session, made):
    """Two checkpoints come, one after the other, and the first is moved."""
    (photo := session.models / "photo").mkdir()
    watch = session.terminal("watch", rows=16)
    frames, status = [], None

    def look(seconds):
        for _ in range(round(seconds / EACH)):
            watch.read(EACH)
            frames.append(Frame.of(watch.screen).below("$ sdtrtctl watch"))

    look(2)
    shutil.move(made[0], photo)
    while not session.is_ready():
        look(1)
        now = session.run("status").stdout
        if status is None and " s left" in now and "hashing" not in now and "graph" not in now:
            status = session.shown("status")
    while session.is_working():
        look(1)
    shutil.move(made[1], session.models)
    look(6)
    shutil.move(photo / "portrait.safetensors", session.models / "a new name.safetensors")
    look(4)
    watch.end()
    session.run("wait")
    write("watch", moving(frames, LENGTH))
    write("status", still([status or session.shown("status")]))
    checks = [session.shown("check", "640x512"), session.shown("check", "512x768", "--hires", "2")]
    write("list", still([session.shown("list"), *checks]))
    write("show", still([session.shown("show", "landscape.safetensors")]))
    if session.run("bench").stdout.count("ms"):
        write("bench", still([session.shown("bench")]))


def write(name, svg):
    (HERE / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    main()
