"""The kinds of jobs that ComfyUI's pictures are compared for, in its API's form."""
import random
import shutil

LONG_PROMPT = "a cat, a dog and a bird sit, " * 12
NODE = "SdtrtApplyEngine"
# Who is to compute a job where there is a GPU.
ENGINE, PYTORCH = "engine", "PyTorch"
CHANGES, RANDOM = 20, 100
# How many random jobs have the same checkpoint.
EACH_CHECKPOINT = 6
# ComfyUI knows no such LoRAs.
UNKNOWN = ("IA3", "a bias that the UNet has not")


def plain_job(options, checkpoint, part=1):
    """`part` is how many times fewer steps it has than usual."""
    steps = max(2, options.steps // part)
    return {"checkpoint": checkpoint, "width": options.size, "height": options.size, "steps": steps}


def all_jobs(options, checkpoints, loras):
    """Each job's name and what it changes."""
    one, other = checkpoints[:2]
    plain = plain_job(options, one)
    yield "txt2img", plain
    yield "batch", plain | {"batch": 2}
    yield "count", plain | {"count": 2}
    yield "odd size", plain | {"width": options.size + 40, "height": options.size + 8, "by": PYTORCH}
    yield "wide", plain | {"width": options.size * 3 // 2}
    yield "long prompt", plain | {"prompt": LONG_PROMPT}
    yield "ancestral", plain | {"sampler": "euler_ancestral", "scheduler": "karras"}
    yield "DPM++ 2M", plain | {"sampler": "dpmpp_2m", "scheduler": "karras"}
    yield "hires", plain | {"hires": 2.0}
    yield "img2img", plain | {"init": True, "denoise": 0.6}
    yield "inpaint", plain | {"init": True, "mask": True, "denoise": 0.8}
    for number, lora in enumerate(loras):
        for strength in (1.0, 0.5):
            yield f"LoRA {number + 1} at {strength}", plain | {"loras": [(lora, strength)]}
    if loras:
        yield "LoRA off again", plain
    if loras[1:]:
        yield "LoRAs", plain | {"loras": [(lora, 0.7) for lora in loras]}
    yield "merged", plain | {"merged": other}
    yield "other checkpoint", plain | {"checkpoint": other}
    yield "back", plain
    yield "after unloading", plain | {"free": {"unload_models": True}}
    yield "after freeing all", plain | {"free": {"unload_models": True, "free_memory": True}}


def lora_jobs(options, checkpoint, kinds):
    """Each kind of LoRA alone, three at once, ways in which PyTorch computes them, and changes from one job to the
    next; as in `all_jobs`. `kinds` are files' names without the ending."""
    draw = random.Random(1)
    kinds = [kind for kind in kinds if kind not in UNKNOWN]
    plain = plain_job(options, checkpoint, 2)
    given = lambda *loras: plain | {"loras": [(f"{name}.safetensors", strength) for name, strength in loras]}
    yield "no LoRA", plain
    for kind in kinds:
        yield kind, given((kind, 0.8))
    yield "three at once", given(("LoRA", 0.7), ("LoHa", 0.6), ("diff", 0.5))
    yield "a negative strength", given(("LoRA", -0.5))
    yield "in bypass mode", given(("LoRA", 0.8)) | {"bypass": True, "by": PYTORCH}
    yield "scheduled", plain | {"scheduled": ("LoRA.safetensors", 0.8), "by": PYTORCH}
    for number in range(CHANGES):
        loras = [(name, round(draw.uniform(0.2, 1.2), 2)) for name in draw.sample(kinds, draw.randrange(4))]
        yield f"change {number + 1}: {', '.join(name for name, _ in loras) or 'none'}", given(*loras)
    yield "no LoRA again", plain


def random_jobs(options, checkpoints, kinds, count=RANDOM):
    """Jobs of which each has another size, batch, sampler, refiner or LoRAs, and some another checkpoint; as in
    `all_jobs`. LoRAs are the UNet's alone, so that texts are encoded once for all jobs."""
    draw = random.Random(2)
    kinds = [kind for kind in kinds if kind not in UNKNOWN]
    size = lambda: options.size + options.size // 8 * draw.randrange(5)
    checkpoint = None
    for number in range(count):
        if number % EACH_CHECKPOINT == 0:
            checkpoint = draw.choice([each for each in checkpoints if each != checkpoint])
        names = draw.sample(kinds, draw.choice((0, 0, 1, 2, 3)))
        job = plain_job(options, checkpoint) | {
            "steps": max(2, options.steps * 4 // 5), "of_unet": True,
            "loras": [(f"{name}.safetensors", round(draw.uniform(0.2, 1.0), 2)) for name in names],
            "seed": draw.randrange(1000), "width": size(), "height": size(), "batch": draw.choice((1, 1, 2, 3)),
            "sampler": draw.choice(("euler", "euler_ancestral", "dpmpp_2m", "lms", "ddim")),
            "scheduler": draw.choice(("normal", "karras")), "cfg": draw.choice((1.0, 4.0, 7.0)),
        }
        kind = draw.randrange(8)
        if kind < 2:
            job |= {"init": True, "batch": 1, "mask": kind == 0, "denoise": 0.7}
        elif kind == 2:
            # One and a half of what engines take is what they take.
            side = lambda value: value - value % (options.size // 4)
            job |= {"hires": 1.5, "batch": 1, "width": side(job["width"]), "height": side(job["height"])}
        elif kind == 3:
            job |= {"refiner": draw.choice(checkpoints)}
        yield f"random {number + 1}", job


def larger_jobs(options, checkpoint, usual):
    """Jobs of SDXL, and one of another kind of UNet after them."""
    plain = plain_job(options, checkpoint) | {"width": 2 * options.size, "height": 2 * options.size}
    yield "SDXL", plain
    yield "SDXL, wide", plain | {"width": options.size * 19 // 8, "height": options.size * 13 // 8}
    yield "SDXL, img2img", plain | {"init": True, "denoise": 0.6}
    yield "SD 1.5 after it", plain_job(options, usual)
    yield "SDXL again", plain


def changed_jobs(options, checkpoints, folder):
    """Jobs of a checkpoint whose file is renamed, moved and replaced meanwhile in `folder`, which is ComfyUI's; as in
    `all_jobs`."""
    one, other = ((folder / name).resolve() for name in checkpoints[:2])
    first, second, third = (folder / f"{name}.safetensors" for name in ("own", "own renamed", "in/it"))
    job = lambda path, **more: plain_job(options, str(path.relative_to(folder)), 2) | more
    third.parent.mkdir()
    shutil.copy(one, first)
    yield "a file of its own", job(first)
    first.rename(second)
    yield "renamed", job(second)
    second.rename(third)
    yield "moved", job(third)
    shutil.copy(other, second)
    second.replace(third)
    yield "replaced, while it is loaded", job(third)
    yield "replaced, and loaded again", job(third, free={"unload_models": True, "free_memory": True})
    yield "merged in memory", job(third, merged=checkpoints[0])
    yield "merged, after unloading", job(third, merged=checkpoints[0], free={"unload_models": True})
    yield "not merged any more", job(third)
    third.unlink()
    yield "another, since it is deleted", plain_job(options, checkpoints[0], 2)


def multigpu_jobs(options, checkpoint, kinds):
    """Jobs whose prompts are computed on two GPUs, by ComfyUI's own node; as in `all_jobs`."""
    plain = plain_job(options, checkpoint) | {"gpus": 2}
    yield "on two GPUs", plain
    yield "batch", plain | {"batch": 2}
    yield "wide", plain | {"width": options.size * 3 // 2}
    if kinds:
        yield "LoRA", plain | {"loras": [("LoRA.safetensors", 0.8)]}
        yield "another LoRA", plain | {"loras": [("LoKr.safetensors", 0.6)]}
    yield "two passes", plain | {"hires": 2.0, "second": plain["steps"] // 2}
    yield "on one again", plain | {"gpus": 1}


def timed_jobs(options, usual, larger, net):
    """Jobs to be timed, the usual sizes. The second of two passes has half as many steps."""
    of = lambda checkpoint, size: plain_job(options, checkpoint) | {"width": size, "height": size}
    size, second = options.size, max(1, options.steps // 2)
    for each in (size, size * 3 // 2, size * 2):
        yield f"SD 1.5 at {each}", of(usual, each)
    yield f"SD 1.5 at {size}, one control net", of(usual, size) | {"net": net}
    for each in (size, size * 3 // 2):
        yield f"SD 1.5, {each} → {each * 2}", of(usual, each) | {"hires": 2.0, "second": second}
    if larger:
        yield f"SDXL at {size * 2}", of(larger, size * 2)


def graph(job, with_node, number, seed):
    """Returns a job in the API's form. `number` makes it run again though nothing has changed."""
    nodes = {}

    def add(kind, **inputs):
        nodes[str(len(nodes) + 1)] = {"class_type": kind, "inputs": inputs}
        return str(len(nodes))

    loader = add("CheckpointLoaderSimple", ckpt_name=job["checkpoint"])
    model, clip, vae = [loader, 0], [loader, 1], [loader, 2]
    if with_node:
        # First, so that everybody else comes behind it.
        model = [add(NODE, model=model, engine="automatic"), 0]
    if job.get("merged"):
        other = [add("CheckpointLoaderSimple", ckpt_name=job["merged"]), 0]
        model = [add("ModelMergeSimple", model1=model, model2=other, ratio=0.5), 0]
    for name, strength in job.get("loras", ()):
        given = {"model": model, "lora_name": name, "strength_model": strength}
        if job.get("of_unet"):
            model = [add("LoraLoaderModelOnly", **given), 0]
            continue
        kind = "LoraLoaderBypass" if job.get("bypass") else "LoraLoader"
        lora = add(kind, **given, clip=clip, strength_clip=strength)
        model, clip = [lora, 0], [lora, 1]
    positive = [add("CLIPTextEncode", text=job.get("prompt", "a red cat on a mat"), clip=clip), 0]
    negative = [add("CLIPTextEncode", text="", clip=clip), 0]
    if job.get("scheduled"):
        positive = scheduled(add, positive, *job["scheduled"])
    if job.get("net"):
        net = [add("ControlNetLoader", control_net_name=job["net"]), 0]
        both = add("ControlNetApplyAdvanced", positive=positive, negative=negative, control_net=net, strength=1.0,
                   image=[add("LoadImage", image="in.png"), 0], start_percent=0.0, end_percent=1.0)
        positive, negative = [both, 0], [both, 1]
    if job.get("gpus"):
        model = [add("MultiGPU_WorkUnits", model=model, max_gpus=job["gpus"]), 0]
    latent = [add("CheckAgain", latent=start(add, job, vae), number=number), 0]
    kind, more = ("CheckProfile", {"what": job["profile"]}) if job.get("profile") else ("KSampler", {})
    how = {"model": model, "seed": seed, "cfg": job.get("cfg", 7.0), "sampler_name": job.get("sampler", "euler"),
           "scheduler": job.get("scheduler", "normal"), "positive": positive, "negative": negative} | more
    if job.get("refiner"):
        latent = refined(add, job, how, latent, with_node)
    else:
        latent = [add(kind, **how, steps=job["steps"], latent_image=latent, denoise=job.get("denoise", 1.0)), 0]
    if job.get("hires"):
        larger = add("LatentUpscaleBy", samples=latent, upscale_method="bilinear", scale_by=job["hires"])
        steps = job.get("second", job["steps"])
        latent = [add(kind, **how, steps=steps, latent_image=[larger, 0], denoise=0.6), 0]
    add("SaveImage", images=[add("VAEDecode", samples=latent, vae=vae), 0], filename_prefix="check")
    return nodes


def refined(add, job, how, latent, with_node):
    """Returns a latent whose last steps are another checkpoint's."""
    other = [add("CheckpointLoaderSimple", ckpt_name=job["refiner"]), 0]
    other = [add(NODE, model=other, engine="automatic"), 0] if with_node else other
    how = {"noise_seed" if name == "seed" else name: value for name, value in how.items()} | {"steps": job["steps"]}
    half = job["steps"] // 2
    latent = add("KSamplerAdvanced", **how, latent_image=latent, add_noise="enable", start_at_step=0, end_at_step=half,
                 return_with_leftover_noise="enable")
    how |= {"model": other, "latent_image": [latent, 0]}
    return [add("KSamplerAdvanced", **how, add_noise="disable", start_at_step=half, end_at_step=10000,
                return_with_leftover_noise="disable"), 0]


def start(add, job, vae):
    """Returns the latent that a job begins with."""
    size = {name: job[name] for name in ("width", "height")}
    if not job.get("init"):
        return [add("EmptyLatentImage", **size, batch_size=job.get("batch", 1)), 0]
    image = [add("LoadImage", image="in.png"), 0]
    image = [add("ImageScale", image=image, upscale_method="area", **size, crop="center"), 0]
    latent = [add("VAEEncode", pixels=image, vae=vae), 0]
    if not job.get("mask"):
        return latent
    inner = [add("SolidMask", value=1.0, **{name: value // 2 for name, value in size.items()}), 0]
    mask = [add("MaskComposite", destination=[add("SolidMask", value=0.0, **size), 0], source=inner,
                x=job["width"] // 4, y=job["height"] // 4, operation="add"), 0]
    return [add("SetLatentNoiseMask", samples=latent, mask=mask), 0]


def scheduled(add, conditioning, name, strength):
    """Returns a conditioning with a LoRA for the first half of the steps."""
    hooks = [add("CreateHookLora", lora_name=name, strength_model=strength, strength_clip=0.0), 0]
    frames = [add("CreateHookKeyframe", strength_mult=1.0, start_percent=0.0), 0]
    frames = [add("CreateHookKeyframe", strength_mult=0.0, start_percent=0.5, prev_hook_kf=frames), 0]
    hooks = [add("SetHookKeyframes", hooks=hooks, hook_kf=frames), 0]
    return [add("ConditioningSetProperties", cond_NEW=conditioning, strength=1.0, set_cond_area="default",
                hooks=hooks), 0]
