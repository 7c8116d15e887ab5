"""The kinds of jobs that pictures are compared for, small enough for a CPU. Each changes what all have in common.
`full_size` makes one as large as people's, for a GPU."""
import base64
import io

from PIL import Image, ImageDraw

COMMON = {"prompt": "a red cat", "negative_prompt": "blurry", "seed": 42, "steps": 2, "width": 64, "height": 64,
          "sampler_name": "Euler", "cfg_scale": 7, "do_not_save_samples": True, "do_not_save_grid": True}
# Two pieces, which every preset takes.
LONG = ", ".join(f"a red cat with {number} kittens" for number in range(16))
# On a GPU widths and heights are this many times as large, and a job has as many steps; a hires pass half as many.
LARGER, STEPS = 8, 20


def full_size(body, steps=STEPS):
    """Returns a job as large as people's: 512 for 64. What is odd in the latent stays odd. Images are enlarged by the
    web UI."""
    larger = {side: LARGER * body[side] - (8 if body[side] % 16 else 0) for side in ("width", "height")}
    hires = {"hr_second_pass_steps": steps // 2} if "hr_second_pass_steps" in body else {}
    return body | larger | {"steps": steps} | hires


def picture(size, background, draw):
    image = Image.new("RGB", (size, size), background)
    draw(ImageDraw.Draw(image))
    with io.BytesIO() as file:
        image.save(file, "PNG")
        return base64.b64encode(file.getvalue()).decode()


INPUT = picture(64, "navy", lambda pen: pen.ellipse((8, 8, 50, 40), fill="orange"))
MASK = picture(64, "black", lambda pen: pen.rectangle((16, 16, 48, 48), fill="white"))


def all_jobs(checkpoints, lora):
    """Returns (name, path of the API, body) of each job. `checkpoints` are the titles of two, `lora` a name or
    None."""
    first, second = checkpoints
    chosen = {"override_settings": {"sd_model_checkpoint": first}, "override_settings_restore_afterwards": False}
    text = lambda name, **changes: (name, "txt2img", COMMON | chosen | changes)
    image = lambda name, **changes: (name, "img2img", COMMON | chosen | {"init_images": [INPUT]} | changes)
    jobs = [
        text("txt2img"),
        text("again"),
        text("batch", batch_size=2),
        text("count", n_iter=2),
        text("long prompts", prompt=LONG, negative_prompt=f"blurry, {LONG}"),
        text("prompts of different lengths", prompt=LONG),
        text("no negative prompt", cfg_scale=1, negative_prompt=""),
        text("AND", prompt="a red cat AND a dog :1.2"),
        text("odd sizes", width=72, height=88),
        text("tiling", tiling=True),
        text("hires", enable_hr=True, hr_scale=2, hr_second_pass_steps=2, hr_upscaler="Latent", denoising_strength=0.6),
        text("DDIM", sampler_name="DDIM"),
        text("DPM++ 2M", sampler_name="DPM++ 2M", steps=3),
        # What is restored is the setting of before the job.
        text("SD Unet is None", override_settings=chosen["override_settings"] | {"sd_unet": "None"},
             override_settings_restore_afterwards=True),
        text("token merging", override_settings=chosen["override_settings"] | {"token_merging_ratio": 0.5},
             override_settings_restore_afterwards=True),
        image("img2img", denoising_strength=0.6),
        image("inpaint", denoising_strength=0.8, mask=MASK, inpainting_fill=1),
        text("refiner", refiner_checkpoint=second, refiner_switch_at=0.5, steps=4),
        text("after the refiner"),
        text("another checkpoint", override_settings={"sd_model_checkpoint": second}),
        text("and back"),
    ]
    if lora is not None:
        jobs += [text("LoRA", prompt=f"a red cat <lora:{lora}:0.8>"), text("without LoRA")]
    return jobs


def regional_jobs(checkpoints, lora):
    """The same for Regional Prompter."""
    chosen = {"override_settings": {"sd_model_checkpoint": checkpoints[0]},
              "override_settings_restore_afterwards": False}

    def regions(name, calculation, prompt):
        arguments = [True, False, "Matrix", "Columns", "Mask", "Prompt", "1,1", "0.2", False, False, False, calculation,
                     False, "0", "0", "0", ""]
        scripts = {"Regional Prompter": {"args": arguments}}
        return name, "txt2img", COMMON | chosen | {"prompt": prompt, "alwayson_scripts": scripts}

    jobs = [
        regions("regions, Latent", "Latent", "a red cat BREAK a blue dog"),
        regions("regions, Attention", "Attention", "a red cat BREAK a blue dog"),
    ]
    if lora is not None:
        jobs.append(regions("regions with LoRAs, Latent", "Latent", f"a red cat <lora:{lora}:0.8> BREAK a blue dog"))
    return [*jobs, regions("regions, Latent, again", "Latent", "a red cat BREAK a blue dog")]
