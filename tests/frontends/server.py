"""A whole web UI, started headless in a folder of its own, and asked through its API."""
import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, nullcontext
from pathlib import Path

START_S, STOP_S = 600, 30


@contextmanager
def scratch(work=None):
    """A folder for servers' own folders: a temporary one, or `work`, which stays. Where something fails, the end of
    each server's log is printed. CHECK_LOGS names a folder that keeps the whole logs. SIGTERM ends the servers too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    if work is not None:
        Path(work).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() if work is None else nullcontext(work) as folder:
        try:
            yield Path(folder)
        except BaseException:
            for log in Path(folder).glob("*/log"):
                print(f"== the end of {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-30:]))
            raise
        finally:
            kept = os.environ.get("CHECK_LOGS")
            for log in Path(folder).glob("*/log") if kept else ():
                shutil.copy(log, Path(kept, f"{log.parent.name.replace(' ', '-')}.log"))


class Refused(Exception):
    """The web UI replied with an error."""


class Server:
    """`webui` is the web UI's own folder, which stays as it is; `data` a folder for its settings and outputs, in
    which `extensions`, by name, are linked."""

    def __init__(self, python, webui, data, port, arguments, extensions=(), environment=()):
        self.webui, self.data, self.port = Path(webui), Path(data), port
        (self.data / "extensions").mkdir(parents=True, exist_ok=True)
        for name, place in dict(extensions).items():
            (self.data / "extensions" / name).symlink_to(place)
        self.log = self.data / "log"
        flags = ["--data-dir", self.data, "--port", port, "--api", *arguments]
        self.command = [python, "launch.py", *map(str, flags)]
        always = {"PYTHONUNBUFFERED": "1", "COMMANDLINE_ARGS": "", "GRADIO_ANALYTICS_ENABLED": "False",
                  "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment = {"OMP_NUM_THREADS": "1"} | os.environ | always | dict(environment)
        self.process = None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Starts it, and waits until it is there."""
        starts = self.starts() if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.webui, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.wait(starts + 1, START_S)

    def starts(self):
        """Returns how often the UI has started so far."""
        return self.said("Startup time:")

    def said(self, words):
        """Returns how often it has said this so far."""
        return self.log.read_text("utf-8", errors="replace").count(words)

    def wait(self, starts, seconds):
        """Waits until it says that it has started as often as this. It must not be asked before: a request while it
        sets up its server breaks its start."""
        end = time.monotonic() + seconds
        while self.starts() < starts:
            if self.process.poll() is not None:
                raise AssertionError(f"the web UI has ended ({self.process.returncode}); see {self.log}")
            if time.monotonic() > end:
                raise AssertionError(f"the web UI has not started within {seconds} s; see {self.log}")
            time.sleep(0.05)

    def stop(self, number=signal.SIGTERM):
        """Sends it a signal, and returns the seconds until it has ended."""
        begin = time.monotonic()
        self.process.send_signal(number)
        return self.ended(begin)

    def ended(self, begin):
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the web UI did not end within {STOP_S} s; see {self.log}") from None
        return time.monotonic() - begin

    def closed(self, begin):
        """Returns the seconds until it listens no more. Those of Forge's family close their server when they are asked
        to stop, but their process stays: the loop of its main thread has no end."""
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return time.monotonic() - begin
            assert time.monotonic() < begin + STOP_S, f"the web UI still listens after {STOP_S} s; see {self.log}"
            time.sleep(0.05)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ask(self, path, body=None, seconds=900):
        """Returns the reply of its API, to a POST if there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.address}/sdapi/v1/{path}", data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as reply:
                return parsed(reply.read())
        except urllib.error.HTTPError as error:
            raise Refused(f"{path}: {error.code} {error.read()[:300].decode(errors='replace')}") from error

    def images(self, path, body):
        """Returns the images that a job makes, as PNG files."""
        return [base64.b64decode(image) for image in self.ask(path, body)["images"]]

    def lines(self):
        """Returns what our extension has said, and tracebacks that name it."""
        text = self.log.read_text("utf-8", errors="replace").replace("\r", "\n")
        return [line.strip() for line in text.splitlines() if "sdtrt" in line and "Launching" not in line]


def cpu_seconds(pid):
    """Returns how long a process has computed so far, which tells more than a clock on a machine that others use."""
    # After the name, which may have spaces: user and system time are the 12th and 13th.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def parsed(reply):
    """Returns a reply's JSON, or a text that is none."""
    try:
        return json.loads(reply or b"null")
    except ValueError:
        return reply.decode(errors="replace")


def digest(images):
    """Returns the SHA-1 of each image."""
    return [hashlib.sha1(image).hexdigest() for image in images]
