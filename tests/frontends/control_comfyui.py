"""Checks ControlNet in a whole ComfyUI: `python3 tests/frontends/control_comfyui.py --help`.

Its own ControlNet nodes, with control nets of random weights, make the same pictures of models that our node has not
marked and of those that it has, with PyTorch in the place of an engine, which is given what the engine would have been:
all must be the same files.
"""
import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from comfyui import NODE, prepare, started
from server import scratch

NETS, PRETEND = (Path(__file__).with_name("control") / name for name in ("nets.py", "pretend_comfyui.py"))
FIRST, SECOND = "control-a.safetensors", "control-b.safetensors"


def all_jobs():
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
    yield "odd size", one | {"width": 104, "height": 72}, "all"
    yield "hires", one | {"hires": 2.0}, "all"
    yield "ancestral", one | {"sampler": "euler_ancestral"}, "all"
    yield "without again", {}, "none"


def graph(job, checkpoint, with_node, number):
    """Returns a job in the API's form. `number` makes it run again though nothing has changed."""
    nodes = {}

    def add(kind, **inputs):
        nodes[str(len(nodes) + 1)] = {"class_type": kind, "inputs": inputs}
        return str(len(nodes))

    loader = add("CheckpointLoaderSimple", ckpt_name=checkpoint)
    model, clip, vae = [loader, 0], [loader, 1], [loader, 2]
    if with_node:
        model = [add("CheckPretend", model=model), 0]
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
        mask = [add("SolidMask", value=0.6, width=64, height=64), 0]
        there = [add("ConditioningSetMask", conditioning=positive, mask=mask, strength=1.0,
                     set_cond_area="default"), 0]
        positive = [add("ConditioningCombine", conditioning_1=there, conditioning_2=other), 0]
    latent = [add("EmptyLatentImage", width=job.get("width", 64), height=job.get("height", 64),
                  batch_size=job.get("batch", 1)), 0]
    latent = [add("CheckAgain", latent=latent, number=number), 0]
    how = {"model": model, "seed": 42, "cfg": 7.0, "sampler_name": job.get("sampler", "euler"), "scheduler": "normal",
           "positive": positive, "negative": negative, "steps": 4}
    latent = [add("KSampler", **how, latent_image=latent, denoise=1.0), 0]
    if job.get("hires"):
        larger = add("LatentUpscaleBy", samples=latent, upscale_method="bilinear", scale_by=job["hires"])
        latent = [add("KSampler", **how, latent_image=[larger, 0], denoise=0.6), 0]
    add("SaveImage", images=[add("VAEDecode", samples=latent, vae=vae), 0], filename_prefix="check")
    return nodes


def made(options, base, models, checkpoint):
    """Returns the pictures' sha1 of each job, without our node and with it, and the lines that it said meanwhile."""
    prepare(base, models, options, True)
    (base / "custom_nodes/pretend.py").symlink_to(PRETEND)
    found, said = {}, {}
    with started(options, base) as server:
        for number, (name, job, _) in enumerate(all_jobs()):
            before = len(lines(base))
            names = [server.run(graph(job, checkpoint, marked, number)) for marked in (False, True)]
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
    pictures, said = made(options, folder / "with", models, checkpoint.name)
    wrong = []
    for name, _, served in all_jobs():
        expected, found = pictures[name]
        line = "; ".join(each.partition("sdtrt:")[2].strip() for each in said[name])
        is_fine = (
            expected and expected == found and ("engine controlcontr" in line) == (served != "none")
            and ("engine pretendprete" in line) == (served != "all") and "PyTorch computes" not in line
        )
        wrong += [] if is_fine else [name]
        print(f"{'ok' if is_fine else 'WRONG':6}{name:24}{' '.join(each[:12] for each in expected)}  {line}")
    for name in ("one net", "half strength", "first half", "two nets", "for the prompt alone"):
        if pictures[name] == pictures["no ControlNet"]:
            wrong.append(f"{name} changes nothing")
    if wrong:
        sys.exit("\n".join(["", *wrong]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("comfyui", type=Path, help="its folder")
    parser.add_argument("--models", type=Path, help="a folder with a checkpoint of SD 1.x in checkpoints; by default "
                        "ComfyUI's own")
    parser.add_argument("--extension", type=Path, required=True, help="our extension's folder")
    parser.add_argument("--python", default=sys.executable, help="the Python that it runs with")
    parser.add_argument("--port", type=int, default=8461)
    parser.add_argument("--argument", action="append", default=[], help="one more of its own")
    options = parser.parse_args()
    options.gpu, options.data_dir = False, None
    with scratch() as folder:
        check(options, folder)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
