"""A whole ComfyUI, started headless in a folder of its own, and asked through its API."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

from server import cpu_seconds

# By ComfyUI: a UNet of any other width is unknown to it.
USUAL_CHANNELS = 320
# A custom node that makes ComfyUI know small UNets, and a job run again.
HELPERS = """
from comfy import supported_models
for channels in {channels}:
    config = dict(supported_models.SD15.unet_config, model_channels=channels)
    supported_models.models.append(type("Small", (supported_models.SD15,), {{"unet_config": config}}))
class Again:
    CATEGORY, RETURN_TYPES, FUNCTION = "check", ("LATENT",), "run"
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{"latent": ("LATENT",), "number": ("INT", {{"default": 0}})}}}}
    def run(self, latent, number):
        return (dict(latent),)
NODE_CLASS_MAPPINGS = {{"CheckAgain": Again}}
"""


def files_of(models):
    """Returns the names of the checkpoints and of the LoRAs."""
    checkpoints, loras = (sorted(path.name for path in (models / kind).glob("*.safetensors"))
                          for kind in ("checkpoints", "loras"))
    if len(checkpoints) < 2:
        sys.exit(f"{models}/checkpoints has fewer than two checkpoints")
    return checkpoints, loras


def prepare(base, models, options, with_node):
    """Makes a base folder: links to the models, our helpers and, if asked, the node as `webui install` links it."""
    for name in ("input", "output", "custom_nodes"):
        (base / name).mkdir(parents=True)
    (base / "models").symlink_to(models)
    picture = options.comfyui / "input/example.png"
    shutil.copy(picture, base / "input/in.png")
    channels = {unet_channels(path) for path in (models / "checkpoints").glob("*.safetensors")} - {USUAL_CHANNELS, None}
    (base / "custom_nodes/check_helpers.py").write_text(HELPERS.format(channels=sorted(channels)))
    if with_node:
        node = base / "custom_nodes/sdtrt"
        node.mkdir()
        for name, part in (("__init__.py", "comfyui/__init__.py"), ("example_workflows", "comfyui/example_workflows"),
                           ("sdtrt", "sdtrt")):
            (node / name).symlink_to(options.extension.resolve() / part)
        data = options.data_dir or base / "no-daemon"
        (node / "sdtrt.json").write_text(json.dumps({"data_dir": str(data)}))


def unet_channels(path):
    """Of the UNet's first layer, from a checkpoint's header."""
    with open(path, "rb") as file:
        header = json.loads(file.read(*struct.unpack("<Q", file.read(8))))
    found = header.get("model.diffusion_model.input_blocks.0.0.weight")
    return found["shape"][0] if found else None


class Server:
    def __init__(self, port, process):
        self.url, self.process = f"http://127.0.0.1:{port}", process
        self.number = 0
        # What the last job took, as it says itself.
        self.seconds = None

    def computed(self):
        return cpu_seconds(self.process.pid)

    def get(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=900) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error}: {error.read().decode(errors='replace')[:2000]}") from None

    def run(self, graph):
        """Returns the names of a job's pictures."""
        key = self.get("/prompt", {"prompt": graph})["prompt_id"]
        while True:
            done = self.get(f"/history/{key}").get(key)
            if done is not None:
                break
            time.sleep(0.02)
        told = dict(done["status"]["messages"])
        wrong = told.get("execution_error", {})
        assert done["status"]["status_str"] == "success", f"{wrong.get('node_type')}: {wrong.get('exception_message')}"
        at = {kind: each.get("timestamp") for kind, each in told.items()}
        self.seconds = (at["execution_success"] - at["execution_start"]) / 1000
        return [image["filename"] for output in done["outputs"].values() for image in output.get("images", ())]


@contextmanager
def started(options, base):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1",
                                "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("SDTRT_DATA_DIR", None)
    flags = ["--port", options.port, "--base-directory", base, "--disable-auto-launch", "--disable-metadata",
             "--disable-api-nodes", *options.argument, *([] if options.gpu else ["--cpu"])]
    with open(base / "log", "ab") as log:
        process = subprocess.Popen(
            [options.python, "main.py", *map(str, flags)], cwd=options.comfyui, env=environment, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
            # A shell that starts this in the background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        server, began = Server(options.port, process), time.monotonic()
        while True:
            try:
                server.get("/system_stats")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() - began > 600:
                    sys.exit("ComfyUI did not start")
                time.sleep(0.5)
        yield server
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
