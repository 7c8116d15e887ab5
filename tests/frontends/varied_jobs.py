"""Jobs with every kind of LoRA, and jobs of which each is another at random, though the same in each run."""
import random

from jobs import COMMON, INPUT, LARGER, MASK
from lora_files import NOT_SERVED

CHANGES, RANDOM = 20, 100
# Widths and heights of random jobs on a GPU, before they are enlarged: an engine compiles kernels for each new one.
FEW = ((64, 64), (64, 96), (96, 64), (80, 80), (96, 96))


def chosen(checkpoint):
    return {"override_settings": {"sd_model_checkpoint": checkpoint}, "override_settings_restore_afterwards": False}


def prompt(loras):
    """Returns a prompt with LoRAs, each with its strength."""
    return " ".join(["a red cat", *(f"<lora:{name}:{strength}>" for name, strength in loras)])


def lora_jobs(checkpoint, kinds):
    """Each kind alone, three at once, other strengths, and 20 changes from one job to the next; as in `all_jobs`."""
    draw = random.Random(1)
    body = COMMON | chosen(checkpoint)
    text = lambda name, *loras, **changes: (name, "txt2img", body | {"prompt": prompt(loras)} | changes)
    served = [kind for kind in kinds if kind not in NOT_SERVED]
    jobs = [text("no LoRA"), *(text(kind, (kind, 0.8)) for kind in served)]
    jobs += [
        text("three at once", ("LoRA", 0.7), ("LoHa", 0.6), ("diff", 0.5)),
        text("the UNet's strength alone", ("LoRA", "0:0.7")),
        text("a strength of 0", ("LoRA", 0)),
        text("a negative strength", ("LoRA", -0.5)),
        text("one twice", ("LoRA", 0.5), ("LoRA", 0.5)),
        text("another for the hires pass", ("LoRA", 0.7), enable_hr=True, hr_scale=2, hr_second_pass_steps=2,
             hr_upscaler="Latent", denoising_strength=0.6, hr_prompt=prompt([("LoKr", 0.7)])),
        text("LoRA in a batch", ("LoRA", 0.7), batch_size=2),
        text("LoRA in two batches", ("LoRA", 0.7), n_iter=2),
    ]
    for number in range(CHANGES):
        loras = [(name, round(draw.uniform(0.2, 1.2), 2)) for name in draw.sample(served, draw.randrange(4))]
        jobs.append(text(f"change {number + 1}: {', '.join(name for name, _ in loras) or 'none'}", *loras))
    # Last: A1111 1.10 by itself computes nothing after a LoRA that has given a layer a bias ('no backup bias found').
    return [*jobs, text("no LoRA again"), *(text(kind, (kind, 0.8)) for kind in NOT_SERVED)]


def random_jobs(checkpoints, kinds, count=RANDOM, few=False):
    """Jobs of which each has another checkpoint, size, batch, sampler, refiner or LoRAs; as in `all_jobs`. With `few`
    sizes they are for a GPU."""
    draw = random.Random(2)
    one_in = lambda number: draw.randrange(number) == 0
    jobs = []
    for number in range(count):
        loras = [(name, round(draw.uniform(0.2, 1.0), 2)) for name in draw.sample(kinds, draw.choice((0, 0, 1, 2, 3)))]
        body = COMMON | chosen(draw.choice(checkpoints)) | {
            "prompt": prompt(loras), "seed": draw.randrange(1000), "width": 8 * draw.randrange(8, 13),
            "height": 8 * draw.randrange(8, 13), "batch_size": draw.choice((1, 1, 2, 3)), "steps": draw.randrange(2, 4),
            "sampler_name": draw.choice(("Euler", "Euler a", "DDIM", "DPM++ 2M", "LMS")),
            "cfg_scale": draw.choice((1, 4, 7)),
        }
        if few:
            width, height = draw.choice(FEW)
            body |= {"width": width, "height": height, "batch_size": draw.choice((1, 1, 2))}
        path, way = "txt2img", None
        if one_in(4):
            path, way, body = "img2img", "img2img", body | {"init_images": [INPUT], "denoising_strength": 0.7}
            if one_in(2):
                way, body = "inpaint", body | {"mask": MASK, "inpainting_fill": 1}
        elif one_in(4):
            way = "hires"
            body |= {"enable_hr": True, "hr_scale": 1.25, "hr_upscaler": "Latent", "denoising_strength": 0.6}
        elif one_in(4):
            way = "refiner"
            body |= {"refiner_checkpoint": draw.choice(checkpoints), "refiner_switch_at": 0.5, "steps": 4}
        size = LARGER if few else 1
        each = [body["override_settings"]["sd_model_checkpoint"].partition(".")[0],
                f"{size * body['width']}×{size * body['height']}", f"{body['batch_size']} at once",
                body["sampler_name"], way, *(name for name, _ in loras)]
        jobs.append((f"random {number + 1}: {', '.join(filter(None, each))}", path, body))
    return jobs
