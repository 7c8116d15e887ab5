"""The jobs that are made in web UIs of Forge's family: A1111's, and those of what only Forge has."""
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from jobs import COMMON, INPUT, STEPS, all_jobs, full_size

NEVER = "never (PyTorch)"
# UNets with patchers have another edge then.
ODD = "no multiples of 64"
# What our line says of jobs that no engine serves; for some it depends.
UNSERVED = {
    "never": "", "odd sizes": ODD, "tiling": "tiling is on", "token merging": "works inside of the UNet",
    "FreeU": "inside of the UNet", "Kohya HRFix": "inside of the UNet",
}
# How many steps random jobs have on a GPU, and how many in a row have one checkpoint: loading one takes longer than a
# job.
RANDOM_STEPS, IN_A_ROW = 16, 8
# Forge Neo's own pictures are others at the first run than at later ones, without engines too.
UNSTABLE = ("img2img", "inpaint")


class Job(NamedTuple):
    name: str
    path: str
    body: dict
    settings: Mapping = MappingProxyType({})
    # What our line says if PyTorch is to compute; None if an engine is.
    why: str | None = None
    # Whether a GPU makes it twice, which must give the same bits.
    twice: bool = True


def small(**changes):
    return COMMON | changes


def known(kind, body):
    """Returns a job's body as this web UI takes it."""
    if not body.get("enable_hr"):
        return body
    # By default the second pass has a scale of 1, which leaves the negative prompt out.
    body = body | {"hr_cfg": body["cfg_scale"]}
    if kind in ("neo", "forge"):
        # Without modules their APIs fail.
        body |= {"hr_additional_modules": ["Use same choices"]}
    if kind == "neo":
        # It has no upscaler of latents, and others only where there are files of them.
        body |= {"hr_upscaler": "None"}
    return body


def usual(kind, titles, lora, gpu):
    """Returns the usual jobs. `kind` is the front end, `titles` are those of two checkpoints, `lora` a name or None."""
    size = (lambda job: job._replace(body=full_size(job.body))) if gpu else lambda job: job
    jobs = [*map(size, simple(kind, titles, lora))]
    jobs.append(multidiffusion(kind, gpu))
    jobs.append(size(Job("in the end", "txt2img", small())))
    # Forge Neo rounds sizes, and lllyasviel's Forge has no tiling at present.
    served = {"neo": "odd sizes", "forge": "tiling"}.get(kind)
    return [job._replace(why=None if job.name == served else UNSERVED.get(job.name)) for job in jobs]


def simple(kind, titles, lora):
    for name, path, body in all_jobs(titles, lora):
        body = known(kind, body)
        if name == "SD Unet is None":
            yield Job("never", path, small(override_settings={}), {"sdtrt_engine": NEVER})
            yield Job("automatic again", path, small(), {"sdtrt_engine": "automatic"})
            continue
        yield Job(name, path, body)
    if kind == "neo":
        yield from fast_refiner(titles, lora)
    if kind == "reforge":
        yield always("FreeU", **{"FreeU Integrated": [True, 1.01, 1.02, 0.99, 0.95]})
        yield always("Kohya HRFix", **{"Kohya HRFix Integrated": [True, 3, 2, 0, 0.35, True, "bicubic", "bicubic"]})


def fast_refiner(titles, lora):
    """Forge Neo's refiner that loads other weights into the same model in the middle of a job."""
    refined = small(refiner_checkpoint=titles[1], refiner_switch_at=0.5, steps=4)
    yield Job("fast refiner", "txt2img", refined, {"refiner_fast_sd": True})
    yield Job("after the fast refiner", "txt2img", small())
    if lora is not None:
        prompt = f"a red cat <lora:{lora}:0.8>"
        yield Job("fast refiner with LoRA", "txt2img", refined | {"prompt": prompt})
        yield Job("after it with LoRA", "txt2img", small(prompt=prompt), {"refiner_fast_sd": False})


def always(name, **scripts):
    scripts = {title: {"args": args} for title, args in scripts.items()}
    return Job(name, "txt2img", small(alwayson_scripts=scripts))


def multidiffusion(kind, gpu):
    """Tiles, which Forge Neo has for img2img only."""
    tile, width = (512, 1024) if gpu else (64, 128)
    arguments = [True, "MultiDiffusion", tile, tile, tile // 4, 2 if gpu else 4]
    job = always("MultiDiffusion", **{"MultiDiffusion Integrated": arguments})
    body = (full_size(job.body) if gpu else job.body) | {"width": width}
    if kind == "neo":
        return job._replace(path="img2img", body=body | {"init_images": [INPUT], "denoising_strength": 0.7})
    return job._replace(body=body)


def lora_kinds(kind, titles, kinds, gpu):
    """Returns the jobs with every kind of LoRA. `kinds` are those that there are files of."""
    from varied_jobs import lora_jobs

    return list(adapted(kind, lora_jobs(titles[0], kinds), gpu))


def adapted(kind, jobs, gpu):
    for name, path, body in jobs:
        yield Job(name, path, full_size(known(kind, body)) if gpu else known(kind, body), twice=False)


def at_random(kind, titles, kinds, gpu, count):
    """Returns jobs of which each is another."""
    from varied_jobs import random_jobs

    title = lambda body: body["override_settings"]["sd_model_checkpoint"].partition(".")[0]
    found, before = [], None
    for number, (name, path, body) in enumerate(random_jobs(titles, kinds, count, few=gpu)):
        body = known(kind, body)
        if gpu:
            body = full_size(body, RANDOM_STEPS)
            if body.get("enable_hr"):
                body |= {"hr_second_pass_steps": RANDOM_STEPS // 2}
                if 640 in (body["width"], body["height"]):
                    # 800 would be no multiple of 64.
                    body |= {"hr_scale": 1.5}
            if number % IN_A_ROW and before is not None:
                name = name.replace(f": {title(body)}", f": {title(before)}")
                body |= {"override_settings": before["override_settings"]}
        before = body
        found.append(Job(name, path, body, twice=False))
    return found


def larger(kind, title, kinds):
    """Returns A1111's jobs with SDXL, by its title, and a few more."""
    import a1111_jobs
    from varied_jobs import chosen, prompt

    more = {"SDXL, hires": {"enable_hr": True, "hr_scale": 1.25, "hr_second_pass_steps": STEPS // 2,
                            "hr_upscaler": "Latent", "denoising_strength": 0.6}}
    loras = [each for each in a1111_jobs.KINDS if each in kinds]
    if loras:
        more["SDXL, LoRA at half its strength"] = {"prompt": prompt([(loras[0], 0.4)])}
    square = chosen(title) | {"width": 1024, "height": 1024, "steps": STEPS}
    jobs = a1111_jobs.larger(title, kinds)
    jobs += [(name, "txt2img", small(**square, **body)) for name, body in more.items()]
    return [Job(name, path, known(kind, body), twice=False) for name, path, body in jobs]


def is_as_meant(job, made):
    """Returns whether an engine has made a job's pictures if one should, and who has, in words."""
    told = "; ".join(dict.fromkeys(line.partition("sdtrt: ")[2] for line in made.by_pytorch))
    if job.why is not None:
        return not made.is_served and job.why in told, f"PyTorch: {told}"
    if made.is_by_choice:
        return True, f"{'served in part: ' * made.is_served}{told}"
    return made.is_served and not told, "served" if not told else f"{'served' if made.is_served else 'PyTorch'}: {told}"
