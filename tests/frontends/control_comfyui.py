"""Checks ControlNet in a whole ComfyUI: `python3 tests/frontends/control_comfyui.py --help`.

Its own ControlNet nodes, with control nets of random weights, make the same pictures of models that our node has not
marked and of those that it has. Without a GPU PyTorch is in the place of an engine, and is given what the engine would
have been: all must be the same files. With one (--gpu) engines compute, and pictures must be 40 dB alike.
"""
import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from comfyui_beside import FASTER, Beside, spread
from comfyui_jobs import ENGINE, NODE, PYTORCH
from comfyui_server import prepare, started
from pictures import decibels
from server import scratch

NETS, PRETEND = (Path(__file__).with_name("control") / name for name in ("nets.py", "pretend_comfyui.py"))
FIRST, SECOND = "control-a.safetensors", "control-b.safetensors"
# Jobs that must make another picture than the one without a net.
CHANGED = ("one net", "half strength", "first half", "two nets", "for the prompt alone")
# A picture is another from this on, and not broken if its values' spread is within this factor of the one's without.
ANOTHER_DB, BROKEN = 40, 3


def all_jobs(size):
    """Each job's name, what it changes, and how often the engine for ControlNets must be used: in all calls, in some or
    in none."""
    one = {"nets": [(FIRST, {})]}
    yield "no ControlNet", {}, "none"
    yield "one net", one, "all"
    yield "half strength", {"nets": [(FIRST, {"strength": 0.5})]}, "all"
    yield "first half", {"nets": [(FIRST, {"end_percent": 0.5})]}, "some"
    yield "second half", {"nets": [(FIRST, {"start_percent": 0.5})]}, "some"
    yield "two nets", {"nets": [(FIRST, {}), (SECOND, {"strength": 0.7})]}, "all"
    yield "one after the other", {"nets": [(FIRST, {"end_percent": 0.4}), (SECOND, {"start_percent": 0.6})]}, "all"
    yield "for the prompt alone", one | {"only": "positive"}, "some"
    yield "for an area", one | {"area": True}, "some"
    yield "batch", one | {"batch": 2}, "all"
    yield "odd size", one | {"width": size + 40, "height": size + 8}, "torch"
    yield "hires", one | {"hires": 2.0}, "all"
    yield "ancestral", one | {"sampler": "euler_ancestral"}, "all"
    yield "without again", {}, "none"


def graph(job, with_node, number, seed):
    """Returns a job in the API's form. `number` makes it run again though nothing has changed."""
    nodes = {}

    def add(kind, **inputs):
        nodes[str(len(nodes) + 1)] = {"class_type": kind, "inputs": inputs}
        return str(len(nodes))

    loader = add("CheckpointLoaderSimple", ckpt_name=job["checkpoint"])
    model, clip, vae = [loader, 0], [loader, 1], [loader, 2]
    if with_node:
        model = [add("CheckPretend", model=model), 0] if job["pretend"] else model
        model = [add(NODE, model=model, engine="automatic"), 0]
    positive = [add("CLIPTextEncode", text="a red cat on a mat", clip=clip), 0]
    negative = [add("CLIPTextEncode", text="blurry", clip=clip), 0]
    hint = [add("LoadImage", image="in.png"), 0]
    for name, given in job.get("nets", ()):
        net = [add("ControlNetLoader", control_net_name=name), 0]
        both = add("ControlNetApplyAdvanced", positive=positive, negative=negative, control_net=net, image=hint,
                   **{"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0} | given)
        positive = [both, 0]
        negative = negative if job.get("only") else [both, 1]
    if job.get("area"):
        other = [add("CLIPTextEncode", text="a blue dog", clip=clip), 0]
        mask = [add("SolidMask", value=0.6, width=job["size"], height=job["size"]), 0]
        there = [add("ConditioningSetMask", conditioning=positive, mask=mask, strength=1.0,
                     set_cond_area="default"), 0]
        positive = [add("ConditioningCombine", conditioning_1=there, conditioning_2=other), 0]
    latent = [add("EmptyLatentImage", width=job.get("width", job["size"]), height=job.get("height", job["size"]),
                  batch_size=job.get("batch", 1)), 0]
    latent = [add("CheckAgain", latent=latent, number=number), 0]
    how = {"model": model, "seed": seed, "cfg": 7.0, "sampler_name": job.get("sampler", "euler"), "scheduler": "normal",
           "positive": positive, "negative": negative, "steps": job["steps"]}
    latent = [add("KSampler", **how, latent_image=latent, denoise=1.0), 0]
    if job.get("hires"):
        larger = add("LatentUpscaleBy", samples=latent, upscale_method="bilinear", scale_by=job["hires"])
        latent = [add("KSampler", **how, latent_image=[larger, 0], denoise=0.6), 0]
    add("SaveImage", images=[add("VAEDecode", samples=latent, vae=vae), 0], filename_prefix="check")
    return nodes


def made(options, base, models, common):
    """Returns the pictures' sha1 of each job, without our node and with it, and the lines that it said meanwhile."""
    prepare(base, models, options, True)
    (base / "custom_nodes/pretend.py").symlink_to(PRETEND)
    found, said = {}, {}
    with started(options, base) as server:
        for number, (name, job, _) in enumerate(all_jobs(options.size)):
            before = len(lines(base))
            names = [server.run(graph(common | job, marked, number, 42)) for marked in (False, True)]
            of = lambda name: hashlib.sha1((base / "output" / name).read_bytes()).hexdigest()
            found[name] = [list(map(of, each)) for each in names]
            said[name] = lines(base)[before:]
            print(name, *found[name], flush=True)
    return found, said


def lines(base):
    text = (base / "log").read_text(errors="replace")
    return [line for line in text.splitlines() if "sdtrt:" in line]


def check(options, folder):
    own = (options.models or options.comfyui / "models").resolve()
    checkpoint = sorted((own / "checkpoints").glob("*.safetensors"))[0]
    models = folder / "models"
    models.mkdir()
    (models / "checkpoints").symlink_to(own / "checkpoints")
    subprocess.run([options.python, NETS, checkpoint, models / "controlnet"], check=True)
    common = {"checkpoint": checkpoint.name, "size": options.size, "steps": options.steps, "pretend": not options.gpu}
    if options.gpu:
        wrong = by_engines(options, folder / "with", models, common)
    else:
        wrong = pretended(*made(options, folder / "with", models, common))
    if wrong:
        sys.exit("\n".join(["", *wrong]))


def pretended(pictures, said):
    """Returns the jobs that are wrong without a GPU."""
    wrong = []
    for name, _, served in all_jobs(size=0):
        expected, found = pictures[name]
        line = "; ".join(each.partition("sdtrt:")[2].strip() for each in said[name])
        is_fine = (
            expected and expected == found and ("engine controlcontr" in line) == (served in ("all", "some"))
            and ("engine pretendprete" in line) == (served in ("some", "none"))
            and ("PyTorch computes" in line) == (served == "torch")
        )
        wrong += [] if is_fine else [name]
        print(f"{'ok' if is_fine else 'WRONG':6}{name:24}{' '.join(each[:12] for each in expected)}  {line}")
    return wrong + [f"{name} changes nothing" for name in CHANGED if pictures[name] == pictures["no ControlNet"]]


def by_engines(options, base, models, common):
    """Returns the jobs that are wrong with a GPU."""
    prepare(base, models, options, True)
    controlled, plain = {}, None
    with started(options, base) as server:
        beside = Beside(options, server, base, graph)
        for name, job, served in all_jobs(options.size):
            by = PYTORCH if served == "torch" else ENGINE
            try:
                expected, found = beside.check(name, common | job | {"by": by})
            except (AssertionError, OSError) as error:
                beside.failures.append(f"{name}: {error}")
                print(f"WRONG {name}: {error}", flush=True)
                continue
            plain = plain or expected
            controlled = controlled or engines_for_control(options.data_dir)
            used = {each in controlled for line in found.lines for each in re.findall(r"engine ([0-9a-f]+) at ", line)}
            should = {"all": {True}, "some": {True, False}, "none": {False}, "torch": set()}[served]
            # Of many steps some are after the first net and before the second.
            used |= {False} if name == "one after the other" else set()
            should |= {False} if name == "one after the other" else set()
            if used != should and by == ENGINE and not any(FASTER in line for line in found.lines):
                beside.failures.append(f"{name}: not the engines that should have computed it")
            if name in CHANGED and plain is not None:
                beside.failures += not_changed(name, plain.files[0], expected.files[0])
        beside.sum_up("ControlNet", 0)
    return beside.failures


def not_changed(name, plain, controlled):
    """Returns what is wrong with what a control net does to a picture."""
    alike, spreads = decibels(plain, controlled), (spread(plain), spread(controlled))
    print(f"      {name}: {alike:.1f} dB beside no ControlNet; values spread by {spreads[1]:.0f}, without by "
          f"{spreads[0]:.0f}", flush=True)
    is_broken = not spreads[0] / BROKEN < spreads[1] < spreads[0] * BROKEN
    return [f"{name} changes next to nothing"] * (alike > ANOTHER_DB) + [f"{name} breaks the picture"] * is_broken


def engines_for_control(data):
    """Returns the digits by which our node names the engines for ControlNets."""
    index = json.loads((data / "index.json").read_text())
    return {engine["id"][:12] for each in index["signatures"] for engine in each.get("controlnet", ())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("comfyui", type=Path, help="its folder")
    parser.add_argument("--models", type=Path, help="a folder with a checkpoint of SD 1.x in checkpoints; by default "
                        "ComfyUI's own")
    parser.add_argument("--extension", type=Path, required=True, help="our extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--port", type=int, default=8461)
    parser.add_argument("--argument", action="append", default=[], help="one more of its own")
    parser.add_argument("--gpu", action="store_true", help="let engines compute")
    parser.add_argument("--data-dir", type=Path, help="sdtrtd's data folder, with --gpu")
    parser.add_argument("--size", type=int, help="512 with a GPU, 64 without")
    parser.add_argument("--steps", type=int, help="20 with a GPU, 4 without")
    parser.add_argument("--work", type=Path, help="a folder for the servers' own folders, which stays")
    options = parser.parse_args()
    if options.gpu and not options.data_dir:
        parser.error("engines are in --data-dir")
    options.size, options.steps = options.size or (512 if options.gpu else 64), options.steps or 4 + 16 * options.gpu
    with scratch(options.work) as folder:
        check(options, folder)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
