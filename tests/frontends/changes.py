"""What happens to a checkpoint while A1111's web UI runs: its file is renamed, moved, replaced and deleted, and its
weights are changed in memory."""
import os
import shutil

from jobs import COMMON

SUFFIXES = (".safetensors", ".yaml")


def copied(checkpoints, folder):
    """Copies two checkpoints, so that they can be changed, and returns the copies."""
    folder.mkdir()
    found = sorted(checkpoints.glob("*.safetensors"))[:2]
    for each in found:
        for suffix in SUFFIXES:
            if each.with_suffix(suffix).exists():
                shutil.copy(each.with_suffix(suffix), folder)
    return [folder / each.name for each in found]


def moved(file, place):
    """Moves a checkpoint with what belongs to it."""
    place.parent.mkdir(exist_ok=True)
    for suffix in SUFFIXES:
        if file.with_suffix(suffix).exists():
            os.rename(file.with_suffix(suffix), place.with_suffix(suffix))
    return place


def run(server, one, other, make):
    """Changes the file `one`, and yields a name and what `make` returns of a job after each change."""
    folder = one.parent

    def choose(file):
        server.ask("refresh-checkpoints", {})
        server.ask("options", {"sd_model_checkpoint": str(file.relative_to(folder))})

    # Two at once can leave a part of the model on the CPU: the web UI still loads its first.
    make(*JOB)
    choose(one)
    yield "as it was", make(*JOB)
    one = moved(one, folder / "renamed.safetensors")
    yield "renamed while loaded", make(*JOB)
    choose(one)
    yield "renamed, and chosen", make(*JOB)
    one = moved(one, folder / "below/renamed.safetensors")
    yield "moved while loaded", make(*JOB)
    choose(one)
    yield "moved, and chosen", make(*JOB)
    shutil.copy(other, folder / "copy")
    os.replace(folder / "copy", one)
    yield "replaced while loaded", make(*JOB)
    choose(other)
    yield "another", make(*JOB)
    choose(one)
    yield "replaced, and chosen", make(*JOB)
    for suffix in SUFFIXES:
        one.with_suffix(suffix).unlink(missing_ok=True)
    yield "deleted while loaded", make(*JOB)
    choose(other)
    for name, path, body in merges():
        yield name, make(path, body)
    server.ask("unload-checkpoint", {})
    yield "unloaded, then a job", make(*JOB)
    server.ask("unload-checkpoint", {})
    server.ask("unload-checkpoint", {})
    server.ask("reload-checkpoint", {})
    yield "unloaded twice, loaded again", make(*JOB)
    server.ask("unload-checkpoint", {})
    server.ask("options", {"sd_unet": "None"})
    yield "unloaded, then None is chosen", make(*JOB)
    server.ask("options", {"sd_unet": "Automatic"})
    yield "and Automatic", make(*JOB)


def merges():
    """Jobs for which the extension in `merging` changes weights, each with one without after it; as in `all_jobs`."""
    jobs = []
    for name, way, step in (
        ("merged in place", "in place", -1),
        ("merged into new memory", "data", -1),
        ("merged into new parameters", "parameter", -1),
        ("new parameters within a pass", "parameter", 1),
        ("new memory within a pass", "data", 1),
    ):
        script = {"alwayson_scripts": {"Merging": {"args": [way, step]}}}
        jobs += [(name, "txt2img", COMMON | script | {"steps": 3}), (f"after it: {name}", *JOB)]
    return jobs


JOB = ("txt2img", COMMON)
