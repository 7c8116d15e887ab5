"""Checks a whole ComfyUI with the node 'Apply TensorRT engine': `python3 tests/frontends/comfyui.py --help`.

Without a GPU it is started headless without our node and with it, in folders of its own, and makes the same pictures
through its API: they must be the same files. With one PyTorch and engines make them beside each other
(`comfyui_beside`). It is restarted, and its page runs an example workflow in a real browser. Nothing of ComfyUI is in
the repository: it comes with what it needs installed in the Python that it runs with.
"""
import argparse
import hashlib
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import comfyui_flags
import comfyui_gpu
import starting
from comfyui_jobs import NODE, all_jobs, graph
from comfyui_server import files_of, prepare, started
from server import scratch

PARTS = ("pictures", "restarts", "starts", "page")
# In one server, with PyTorch and engines beside each other.
BESIDE = ("loras", "changes", "random", "larger", "multigpu", "times")
# Not run but when asked for.
ASKED_FOR = ("flags", "times")
# Only a GPU shows these.
NOT_WITHOUT_A_GPU = "engines, dynamic VRAM (a CPU silently has the old patcher), weights given back to the manager"


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
    parser.add_argument("--size", type=int, help="512 with a GPU, 64 without")
    parser.add_argument("--steps", type=int, help="20 with a GPU, 2 without")
    parser.add_argument("--argument", action="append", default=[], help="one more of its own")
    parser.add_argument("--only", action="append", choices=(*PARTS, *BESIDE, "flags"), help="all by default but " +
                        " and ".join(ASKED_FOR))
    parser.add_argument("--seconds", type=float, help="begin no random job after these; all 100 by default")
    parser.add_argument("--part", default="1/1", help="which of the random jobs: 1/2 is every second, 2/2 the others")
    parser.add_argument("--row", action="append", help="time the jobs whose names have this in them")
    parser.add_argument("--profile", action="store_true", help="print where PyTorch's time goes, with times")
    parser.add_argument("--alone", type=Path, help="a file that is locked while times are measured")
    parser.add_argument("--rounds", type=int, default=3, help="how often each job is timed")
    parser.add_argument("--reloads", type=int, default=20, help="how often it is restarted")
    parser.add_argument("--starts", type=int, default=5, help="how many with the node and without are compared")
    parser.add_argument("--without", action="store_true", help="restart it without the node too")
    parser.add_argument("--work", type=Path, help="a folder for the servers' own folders, which stays")
    parser.add_argument("--chromium", help="the browser")
    parser.add_argument("--tools", help="a folder with playwright")
    options = parser.parse_args()
    number, parts = map(int, options.part.split("/"))
    options.part = slice(number - 1, None, parts)
    options.size, options.steps = options.size or (512 if options.gpu else 64), options.steps or 2 + 18 * options.gpu
    if options.tools:
        sys.path.insert(0, options.tools)
    models = (options.models or options.comfyui / "models").resolve()
    parts = options.only or (*PARTS, *BESIDE[:-1])
    with scratch(options.work) as folder:
        if "flags" in parts:
            comfyui_flags.run(options, folder, models)
        for part in parts:
            if part in PARTS and not (part == "pictures" and options.gpu):
                globals()[part](options, folder, models)
        beside = [part for part in parts if part in BESIDE or (part == "pictures" and options.gpu)]
        if beside:
            comfyui_gpu.run(options, folder, models, beside)


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
    """Makes the same pictures on the CPU without the node and with it."""
    checkpoints, loras = files_of(models)
    jobs = list(all_jobs(options, checkpoints, loras))
    made = {}
    for with_node in (False, True):
        base = folder / ("with" if with_node else "without")
        prepare(base, models, options, with_node)
        with started(options, base) as server:
            made[with_node] = {name: digests(server, base, job, with_node) for name, job in jobs}
            if with_node:
                look_at_the_node(server)
        lines = [line for line in (base / "log").read_text(errors="replace").splitlines() if "sdtrt:" in line]
        if not with_node:
            assert not lines, lines
    expected, found = made[False], made[True]
    wrong = [name for name, _ in jobs if expected[name] != found[name] or not found[name]]
    for name, _ in jobs:
        print(f"{'WRONG' if name in wrong else 'ok':6} {name:20} {' '.join(each[:12] for each in found[name])}")
    print("what the node said:", *dict.fromkeys(line.partition("sdtrt:")[2] for line in lines), sep="\n  ")
    assert len(lines) == 1, "without a GPU or a daemon there is one line"
    check_dynamic(options, models / "checkpoints" / checkpoints[0], base / "custom_nodes/check_helpers.py")
    print(f"not run without a GPU: {NOT_WITHOUT_A_GPU}")
    if not loras:
        print("not run without a file in loras: LoRAs")
    if wrong:
        sys.exit(f"{len(wrong)} of {len(jobs)} jobs differ")
    print(f"{len(jobs)} jobs are the same, bit for bit, with the node and without")


def check_dynamic(options, checkpoint, helpers):
    """Compares weights of the patcher that only a GPU shows, where ComfyUI has it."""
    if "class ModelPatcherDynamic" not in (options.comfyui / "comfy/model_patcher.py").read_text():
        return
    program = Path(__file__).with_name("comfyui_dynamic.py")
    arguments = [program, options.comfyui, options.extension.resolve(), checkpoint, helpers]
    subprocess.run([options.python, "-B", *map(str, arguments)], check=True)


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
        workflow = server.get(urllib.parse.quote(path))
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
