"""Jobs for A1111 with a GPU: random ones in parts, and SDXL's."""
from jobs import COMMON, INPUT, LONG, MASK, STEPS, full_size
from varied_jobs import chosen, prompt, random_jobs

# Of random jobs: how many steps, and how many in a row have one checkpoint. An engine reads all weights of another.
RANDOM_STEPS, IN_A_ROW = 16, 8
# Of SDXL's jobs.
KINDS = ("LoRA", "LoHa", "LoKr", "DoRA", "diff")


def random_part(checkpoints, kinds, part):
    """Returns those of the random jobs that belong to a part, such as (1, 2) for every second one; as in `all_jobs`."""
    number, parts = part
    jobs = []
    for index, (name, path, body) in enumerate(random_jobs(checkpoints, kinds, few=True)):
        checkpoint = checkpoints[index // IN_A_ROW % len(checkpoints)]
        body = full_size(body, RANDOM_STEPS) | chosen(checkpoint)
        if body.get("enable_hr"):
            body |= {"hr_second_pass_steps": RANDOM_STEPS // 2}
        first, _, rest = name.partition(": ")
        jobs.append((f"{first}: {checkpoint.partition('.')[0]}, {rest.partition(', ')[2]}", path, body))
    return jobs[number - 1 :: parts]


def larger(title, kinds):
    """Returns jobs with SDXL, by its title, of the sizes that it is made for; as in `all_jobs`."""

    def job(name, path="txt2img", size=(1024, 1024), **changes):
        body = {"width": size[0], "height": size[1], "steps": STEPS} | changes
        return f"SDXL{name}", path, COMMON | chosen(title) | body

    served = [kind for kind in KINDS if kind in kinds]
    return [
        job(""),
        job(", wide", size=(1216, 832)),
        job(", batch of two", batch_size=2),
        job(", long prompts", prompt=LONG, negative_prompt=f"blurry, {LONG}"),
        job(", no negative prompt", cfg_scale=1, negative_prompt=""),
        job(", DPM++ 2M", sampler_name="DPM++ 2M"),
        *(job(f", {kind}", prompt=prompt([(kind, 0.8)])) for kind in served),
        job(", no LoRA again"),
        job(", img2img", path="img2img", init_images=[INPUT], denoising_strength=0.6),
        job(", inpaint", path="img2img", init_images=[INPUT], denoising_strength=0.8, mask=MASK, inpainting_fill=1),
    ]
