"""The jobs with Forge's own ControlNet, and the files that they need."""
import shutil
import subprocess
from pathlib import Path

from control import HINT, OTHER_HINT, ask_controlnet
from forge_jobs import ODD, Job, known
from jobs import COMMON, INPUT, MASK, full_size

NETS, ADAPTERS = (Path(__file__).parent / "control" / name for name in ("nets.py", "adapters.py"))
INSIDE = "inside of the UNet"
# Jobs whose pictures must be others than without a ControlNet.
CHANGING = ("one net", "two nets", "a mask", "averaged over the picture", "T2I adapter")
# Jobs that a GPU makes twice.
TWICE = ("one net", "two nets", "ControlNet, hires")


def write_all(python, checkpoint, folder):
    """Writes control nets and an adapter with random weights for a checkpoint of SD 1.x."""
    subprocess.run([python, NETS, checkpoint, folder], check=True)
    subprocess.run([python, ADAPTERS, checkpoint, folder / "adapter.safetensors"], check=True)
    # By its name Forge knows that what this one adds is averaged.
    shutil.move(folder / "control-shuffle.safetensors", folder / "control_shuffle.safetensors")


def unit(model, **changes):
    """A unit of ControlNet's. The picture of what it has found is no result."""
    return {"enabled": True, "module": "None", "model": model, "image": HINT, "weight": 1.0, "guidance_start": 0.0,
            "guidance_end": 1.0, "control_mode": "Balanced", "resize_mode": "Just Resize", "processor_res": 64,
            "pixel_perfect": False, "save_detected_map": False} | changes


def jobs(kind, checkpoint, server, lora, gpu):
    """Returns the jobs in a web UI of this kind, with a checkpoint and perhaps a LoRA."""
    # It adds a hash to the files' names.
    full = {name.partition(" ")[0]: name for name in ask_controlnet(server)}
    chosen = {"override_settings": {"sd_model_checkpoint": checkpoint}, "override_settings_restore_afterwards": False}
    hires = {"enable_hr": True, "hr_scale": 2, "hr_second_pass_steps": 2, "hr_upscaler": "Latent",
             "denoising_strength": 0.6}

    def job(name, *units, path="txt2img", why=None, **changes):
        each = [unit(full.get(model, "None"), **given) for model, given in units]
        body = known(kind, COMMON | chosen | {"steps": 4} | changes)
        if each:
            body["alwayson_scripts"] = {"ControlNet": {"args": each}}
        return Job(name, path, full_size(body) if gpu else body, {}, why, name in TWICE)

    first, second, shuffle, lllite = "control-a", "control-b", "control_shuffle", "control-lllite"
    plain, adapter = (first, {}), ("adapter", {})
    image = {"path": "img2img", "init_images": [INPUT]}
    found = [
        job("no ControlNet"),
        job("one net", plain),
        job("one net again", plain),
        job("half weight, first half", (first, {"weight": 0.5, "guidance_end": 0.5})),
        job("second half", (first, {"guidance_start": 0.6})),
        job("two nets", plain, (second, {"image": OTHER_HINT, "weight": 0.7})),
        job("two nets at different times", (first, {"guidance_end": 0.4}), (second, {"guidance_start": 0.6})),
        job("ControlNet is more important", (first, {"control_mode": "ControlNet is more important"})),
        job("my prompt is more important", (first, {"control_mode": "My prompt is more important"})),
        job("a mask", (first, {"mask_image": MASK})),
        job("averaged over the picture", (shuffle, {})),
        job("ControlNet, batch of two", plain, batch_size=2),
        job("ControlNet, no negative prompt", plain, cfg_scale=1, negative_prompt=""),
        job("ControlNet, odd sizes", plain, width=72, height=88, why=None if kind == "neo" else ODD),
        job("ControlNet, hires", plain, **hires),
        job("low res only", (first, {"hr_option": "Low res only"}), **hires),
        job("ControlNet, DPM++ 2M", plain, sampler_name="DPM++ 2M"),
        job("ControlNet, img2img", plain, denoising_strength=0.6, **image),
        job("ControlNet, inpaint", (first, {"image": None}), denoising_strength=0.8, mask=MASK, inpainting_fill=1,
            **image),
        job("T2I adapter", adapter, why="T2I adapter"),
        job("one net with a T2I adapter", plain, adapter, why="T2I adapter"),
        job("reference-only", (None, {"module": "reference_only"}), why=INSIDE),
        job("one net with reference-only", plain, (None, {"module": "reference_only"}), why=INSIDE),
        job("LLLite", (lllite, {}), why=INSIDE),
        job("one net after them", plain),
        job("without ControlNet again"),
    ]
    if lora is not None:
        found += [job("ControlNet with LoRA", plain, prompt=f"a red cat <lora:{lora}:0.8>"),
                  job("ControlNet without LoRA", plain)]
    return found
