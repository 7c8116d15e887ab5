"""What happens to a checkpoint's file while a web UI of Forge's family has it loaded."""
import os
import shutil

from forge_jobs import small
from jobs import full_size
from pictures import make


def checkpoints_changed(server, checkpoints, folder, gpu):
    """Yields (name, picture): of a checkpoint as it is, renamed, renamed and chosen, and replaced. The server's folder
    `folder` has a copy of one of `checkpoints`."""
    second = sorted(checkpoints.glob("*.safetensors"))[1]

    def made(**changes):
        body = small(**changes)
        return make(server, "txt2img", full_size(body) if gpu else body)

    yield "loaded", made()
    (folder / "one.safetensors").rename(folder / "two.safetensors")
    yield "renamed", made()
    server.ask("refresh-checkpoints", {})
    title = next(each["title"] for each in server.ask("sd-models") if "two" in each["title"])
    yield "renamed and chosen", made(override_settings={"sd_model_checkpoint": title},
                                     override_settings_restore_afterwards=False)
    # By another file of the same name, as trainers do.
    shutil.copy(second, folder / "new")
    os.replace(folder / "new", folder / "two.safetensors")
    server.ask("unload-checkpoint", {})
    server.ask("refresh-checkpoints", {})
    yield "replaced", made()


def copied(checkpoints, folder):
    """Copies the first checkpoint into a folder of its own."""
    folder.mkdir()
    shutil.copy(min(checkpoints.glob("*.safetensors")), folder / "one.safetensors")
