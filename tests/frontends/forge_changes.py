"""What happens to a checkpoint while a web UI of Forge's family has it loaded: its file is renamed, moved and replaced,
and its weights are changed in memory."""
import os
import shutil
from pathlib import Path

from counts import Counts
from forge_jobs import Job, is_as_meant, small
from jobs import full_size
from pictures import is_same, make
from together import Ahead

# Changes weights in memory.
MERGING = Path(__file__).parent / "forge_merging"
# In which way, and from which step on; before the job if it is negative.
MERGES = (("in place", -1), ("data", -1), ("parameter", -1), ("parameter", 1), ("data", 1))


def check(whole):
    """Compares pictures without the extension and with engines, after each change. `whole` is forge's check."""
    one, other = whole.small_checkpoints()[:2]
    gpu, servers = whole.options.gpu, []

    def made(name, extensions, port):
        folder = whole.folder / f"{name} files"
        copied(one, folder)
        server = whole.server(name, extensions | {"merging": MERGING}, port, checkpoints=folder)
        servers.append(server)
        try:
            whole.start(server)
            yield from checkpoints_changed(server, other, folder, gpu)
        finally:
            server.close()

    counts = Counts()
    try:
        without = made("changes without", {}, 0)
        plain = Ahead(without) if gpu else dict(without)
        for name, ours in made("changes", whole.engines, 1):
            compare(whole, name, plain.get(name), ours, counts)
    finally:
        for server in servers:
            server.close()
        for line in counts.lines():
            print(f"changes: {line}", flush=True)
    if gpu:
        plain.finished()


def compare(whole, name, plain, ours, counts):
    """Says whether a picture is the one without the extension, which is `plain` if there is one."""
    if plain is None:
        whole.say(f"checkpoint {name}", False, "not made without the extension")
        return
    same, told = is_same(plain, ours, exactly=not whole.options.gpu)
    as_meant, by = is_as_meant(Job(name, "", {}), ours)
    counts.note(name, plain, ours)
    if not plain.files:
        same, as_meant, by = not ours.files, True, "without the extension too"
    whole.say(f"checkpoint {name}", same and as_meant, f"{told:12} {by}")


def checkpoints_changed(server, other, folder, gpu):
    """Yields a name and the picture after each change of the checkpoint `one.safetensors` in the server's folder
    `folder`. In the end a copy of `other` replaces it."""

    def made(**changes):
        body = small(steps=4, **changes)
        return make(server, "txt2img", full_size(body) if gpu else body)

    def chosen(place):
        server.ask("refresh-checkpoints", {})
        found = server.ask("sd-models")
        title = next(each["title"] for each in found if Path(each["filename"]).resolve() == place.resolve())
        return made(override_settings={"sd_model_checkpoint": title}, override_settings_restore_afterwards=False)

    file = folder / "one.safetensors"
    yield "loaded", made()
    file = file.rename(folder / "two.safetensors")
    yield "renamed", made()
    yield "renamed and chosen", chosen(file)
    (folder / "below").mkdir()
    file = file.rename(folder / "below/three.safetensors")
    yield "moved", made()
    yield "moved and chosen", chosen(file)
    for way, step in MERGES:
        name = f"merged {'within' if step > 0 else 'before'} a pass, {way}"
        yield name, made(alwayson_scripts={"Merging": {"args": [way, step]}})
        yield f"{name}, and back", made()
    server.ask("unload-checkpoint", {})
    yield "unloaded", made()
    server.ask("unload-checkpoint", {})
    server.ask("unload-checkpoint", {})
    yield "unloaded twice", made()
    # By another file of the same name, as trainers do.
    shutil.copy(other, folder / "new")
    os.replace(folder / "new", file)
    yield "replaced while loaded", made()
    server.ask("unload-checkpoint", {})
    server.ask("refresh-checkpoints", {})
    yield "replaced", made()


def copied(checkpoint, folder):
    """Copies a checkpoint into a folder of its own."""
    folder.mkdir()
    shutil.copy(checkpoint, folder / "one.safetensors")
