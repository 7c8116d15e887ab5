"""The kinds of jobs that ComfyUI's pictures are compared for, small enough for a CPU, in its API's form."""

LONG_PROMPT = "a cat, a dog and a bird sit, " * 12
NODE = "SdtrtApplyEngine"


def all_jobs(options, checkpoints, loras):
    """Each job's name and what it changes."""
    one, other = checkpoints[:2]
    plain = {"checkpoint": one, "width": options.size, "height": options.size, "steps": options.steps}
    yield "txt2img", plain
    yield "batch", plain | {"batch": 2}
    yield "count", plain | {"count": 2}
    yield "odd size", plain | {"width": options.size + 40, "height": options.size + 8}
    yield "long prompt", plain | {"prompt": LONG_PROMPT}
    yield "ancestral", plain | {"sampler": "euler_ancestral", "scheduler": "karras"}
    yield "hires", plain | {"hires": 2.0}
    yield "img2img", plain | {"init": True, "denoise": 0.6}
    yield "inpaint", plain | {"init": True, "mask": True, "denoise": 0.8}
    for number, lora in enumerate(loras):
        for strength in (1.0, 0.5):
            yield f"LoRA {number + 1} at {strength}", plain | {"loras": [(lora, strength)]}
    if loras[1:]:
        yield "LoRAs", plain | {"loras": [(lora, 0.7) for lora in loras]}
    yield "other checkpoint", plain | {"checkpoint": other}
    yield "back", plain


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
    for name, strength in job.get("loras", ()):
        lora = add("LoraLoader", model=model, clip=clip, lora_name=name, strength_model=strength,
                   strength_clip=strength)
        model, clip = [lora, 0], [lora, 1]
    positive = [add("CLIPTextEncode", text=job.get("prompt", "a red cat on a mat"), clip=clip), 0]
    negative = [add("CLIPTextEncode", text="", clip=clip), 0]
    width, height = job["width"], job["height"]
    if job.get("init"):
        image = [add("LoadImage", image="in.png"), 0]
        image = [add("ImageScale", image=image, upscale_method="area", width=width, height=height, crop="center"), 0]
        latent = [add("VAEEncode", pixels=image, vae=vae), 0]
        if job.get("mask"):
            mask = [add("SolidMask", value=1.0, width=width, height=height), 0]
            latent = [add("SetLatentNoiseMask", samples=latent, mask=mask), 0]
    else:
        latent = [add("EmptyLatentImage", width=width, height=height, batch_size=job.get("batch", 1)), 0]
    latent = [add("CheckAgain", latent=latent, number=number), 0]
    how = {"model": model, "seed": seed, "cfg": 7.0, "sampler_name": job.get("sampler", "euler"),
           "scheduler": job.get("scheduler", "normal"), "positive": positive, "negative": negative}
    latent = [add("KSampler", **how, steps=job["steps"], latent_image=latent, denoise=job.get("denoise", 1.0)), 0]
    if job.get("hires"):
        larger = add("LatentUpscaleBy", samples=latent, upscale_method="bilinear", scale_by=job["hires"])
        latent = [add("KSampler", **how, steps=job["steps"], latent_image=[larger, 0], denoise=0.6), 0]
    add("SaveImage", images=[add("VAEDecode", samples=latent, vae=vae), 0], filename_prefix="check")
    return nodes
