"""Checks a whole ComfyUI with the node 'Apply TensorRT engine': `python3 tests/frontends/comfyui.py --help`.

It is started headless without our node and with it, in folders of its own, and makes the same pictures through its
API. Without a GPU they must be the same files; with one the node's must be the same files twice. It is restarted, and
its page runs an example workflow in a real browser. Nothing of ComfyUI is in the repository: it comes with what it
needs installed in the Python that it runs with.
"""
import argparse
import hashlib
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
from pathlib import Path

import starting
from comfyui_jobs import NODE, all_jobs, graph
from server import cpu_seconds, scratch

PARTS = ("pictures", "restarts", "starts", "page")
# By ComfyUI: a UNet of any other width is unknown to it.
USUAL_CHANNELS = 320
# Only a GPU shows these.
NOT_WITHOUT_A_GPU = "engines, dynamic VRAM (a CPU silently has the old patcher), weights given back to the manager"
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("comfyui", type=Path, help="its folder")
    parser.add_argument("--models", type=Path, help="a folder with two checkpoints in checkpoints, and perhaps a "
                        "LoRA in loras; by default ComfyUI's own")
    parser.add_argument("--extension", type=Path, required=True, help="the extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--data-dir", type=Path, help="sdtrtd's data folder; none by default")
    parser.add_argument("--port", type=int, default=8199)
    parser.add_argument("--gpu", action="store_true", help="let it use the GPU")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--argument", action="append", default=[], help="one more of its own")
    parser.add_argument("--only", action="append", choices=PARTS, help="all by default")
    parser.add_argument("--reloads", type=int, default=20, help="how often it is restarted")
    parser.add_argument("--starts", type=int, default=5, help="how many with the node and without are compared")
    parser.add_argument("--without", action="store_true", help="restart it without the node too")
    parser.add_argument("--chromium", help="the browser")
    parser.add_argument("--tools", help="a folder with playwright")
    options = parser.parse_args()
    if options.tools:
        sys.path.insert(0, options.tools)
    models = (options.models or options.comfyui / "models").resolve()
    with scratch() as folder:
        for part in options.only or PARTS:
            globals()[part](options, folder, models)


def files_of(models):
    """Returns the names of the checkpoints and of the LoRAs."""
    checkpoints, loras = (sorted(path.name for path in (models / kind).glob("*.safetensors"))
                          for kind in ("checkpoints", "loras"))
    if len(checkpoints) < 2:
        sys.exit(f"{models}/checkpoints has fewer than two checkpoints")
    return checkpoints, loras


def restarts(options, folder, models):
    """Starts it and ends it with SIGINT."""
    for with_node in (True, False) if options.without else (True,):
        base = folder / f"restarts {'with' if with_node else 'without'}"
        prepare(base, models, options, with_node)
        ended = []
        for _ in range(options.reloads):
            with started(options, base) as server:
                assert (NODE in server.get("/object_info")) == with_node
                end = time.monotonic()
            ended.append(time.monotonic() - end)
        log = (base / "log").read_text(errors="replace")
        assert not with_node or log.count("sdtrt:") <= 2, log
        print(f"{base.name} the node: {len(ended)}, each ended within {max(ended):.1f} s", flush=True)


def starts(options, folder, models):
    """Compares what a start takes."""

    def start(name, with_node):
        base = folder / f"{name} {time.monotonic_ns()}"
        prepare(base, models, options, with_node)
        begin = time.monotonic()
        with started(options, base) as server:
            return starting.Start(time.monotonic() - begin, server.computed())

    quick, told = starting.compare(start, {"start without": False, "start with": True}, options.starts)
    print("start:", told, flush=True)
    assert quick, "the node delays the start"


def page(options, folder, models):
    """Runs an example workflow in its own page."""
    if not options.chromium:
        print("no browser: the node in ComfyUI's page is NOT checked")
        return
    import comfyui_page

    checkpoints, loras = files_of(models)
    base = folder / "page"
    prepare(base, models, options, True)
    workflow = options.extension / "comfyui/example_workflows" / f"TensorRT engine{' with a LoRA' * bool(loras)}.json"
    replaced = {"model.safetensors": checkpoints[0], "lora.safetensors": (loras or [None])[0], 512: options.size,
                20: options.steps}
    with started(options, base) as server:
        shown, errors, pictures = comfyui_page.run(server, options.chromium, workflow, replaced, NODE)
    print(f"page: {len(shown)} nodes, {pictures} picture; errors of the page: {errors or 'none'}", flush=True)
    assert [NODE, False] in shown and not any(wrong for _, wrong in shown) and pictures == 1, shown


def pictures(options, folder, models):
    """Makes the same pictures without the node and with it."""
    checkpoints, loras = files_of(models)
    jobs = list(all_jobs(options, checkpoints, loras))
    made = {}
    for with_node in (False, True):
        base = folder / ("with" if with_node else "without")
        prepare(base, models, options, with_node)
        with started(options, base) as server:
            made[with_node] = {name: digests(server, base, job, with_node) for name, job in jobs}
            if with_node:
                again = {name: digests(server, base, job, with_node) for name, job in jobs} if options.gpu else None
                look_at_the_node(server)
        lines = [line for line in (base / "log").read_text(errors="replace").splitlines() if "sdtrt:" in line]
        if not with_node:
            assert not lines, lines
    expected, found = (again, made[True]) if options.gpu else (made[False], made[True])
    wrong = [name for name, _ in jobs if expected[name] != found[name] or not found[name]]
    for name, _ in jobs:
        print(f"{'WRONG' if name in wrong else 'ok':6} {name:20} {' '.join(each[:12] for each in found[name])}")
    print("what the node said:", *dict.fromkeys(line.partition("sdtrt:")[2] for line in lines), sep="\n  ")
    if not options.gpu:
        assert len(lines) == 1, "without a GPU or a daemon there is one line"
        check_dynamic(options, models / "checkpoints" / checkpoints[0], base / "custom_nodes/check_helpers.py")
        print(f"not run without a GPU: {NOT_WITHOUT_A_GPU}")
    if not loras:
        print("not run without a file in loras: LoRAs")
    if wrong:
        sys.exit(f"{len(wrong)} of {len(jobs)} jobs differ")
    print(f"{len(jobs)} jobs are the same, bit for bit, {'twice' if options.gpu else 'with the node and without'}")


def check_dynamic(options, checkpoint, helpers):
    """Compares weights of the patcher that only a GPU shows, where ComfyUI has it."""
    if "class ModelPatcherDynamic" not in (options.comfyui / "comfy/model_patcher.py").read_text():
        return
    program = Path(__file__).with_name("comfyui_dynamic.py")
    arguments = [program, options.comfyui, options.extension.resolve(), checkpoint, helpers]
    subprocess.run([options.python, "-B", *map(str, arguments)], check=True)


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
            time.sleep(0.1)
        assert done["status"]["status_str"] == "success", done["status"]
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


def digests(server, base, job, with_node):
    """Returns the pictures' sha1."""
    names = []
    for n in range(job.get("count", 1)):
        server.number += 1
        names += server.run(graph(job, with_node, server.number, 42 + n))
    return [hashlib.sha1((base / "output" / name).read_bytes()).hexdigest() for name in names]


def look_at_the_node(server):
    """Looks at its schema, and whether the example workflows are made of nodes that are there."""
    known = server.get("/object_info")
    engines = known[NODE]["input"]["required"]["engine"]
    offered = engines[1]["options"] if engines[0] == "COMBO" else engines[0]
    assert offered[0] == "automatic" and len(offered) >= 2, offered
    templates = {name: of for name, of in server.get("/workflow_templates").items() if "sdtrt" in name}
    found = [(module, name) for module, names in templates.items() for name in names]
    assert len(found) == 2, templates
    for module, name in found:
        path = f"/api/workflow_templates/{module}/{name}.json"
        workflow = server.get(urllib.request.quote(path))
        for node in workflow["nodes"]:
            takes = known[node["type"]]["input"]
            names = {*takes.get("required", ()), *takes.get("optional", ())}
            linked = [each["name"] for each in node["inputs"]]
            assert set(linked) <= names, (name, node["type"], linked)
            gives = [each["type"] for each in node["outputs"]]
            assert gives == known[node["type"]]["output"][: len(gives)], (name, node["type"])
        print(f"example workflow: {name}")


if __name__ == "__main__":
    main()
