"""All that is asked of A1111's own modules at work. Versions 1.6 to 1.10."""
from __future__ import annotations

import os
import sys

from modules import devices, sd_hijack, sd_models, shared


def say(line):
    print(f"sdtrt: {line}")


def exists(path):
    return os.path.exists(path)


def loaded_path():
    """The file of the checkpoint that is loaded, as the web UI calls it."""
    info = getattr(model(), "sd_checkpoint_info", None)
    return info and info.filename


def model():
    """The model that is loaded, or None. `shared.sd_model` would load one, and wait for it."""
    return sd_models.model_data.sd_model


def torch_unet():
    return model().model.diffusion_model


def torch_forward(x, timesteps, context, *args, **kwargs):
    """A call computed by the web UI's own UNet, which is moved to the GPU if it is not there."""
    wake()
    unet = torch_unet()
    return original_forward(unet)(unet, x, timesteps, context, *args, **kwargs)


def original_forward(unet):
    """The UNet's forward as it was before the web UI put its switch there."""
    family = "sgm" if type(unet).__module__.startswith("sgm.") else "ldm"
    original = getattr(sd_hijack, f"{family}_original_forward", None)
    if original is not None:
        return original
    # 1.6
    from ldm.modules.diffusionmodules import openaimodel

    return openaimodel.copy_of_UNetModel_forward_for_webui


def wake():
    """Moves the web UI's UNet to the GPU."""
    # With --medvram and --lowvram the web UI's own hooks do.
    if not moves_by_itself():
        torch_unet().to(devices.device)


def rest():
    """Moves it back to memory of the CPU."""
    if not moves_by_itself() and next(torch_unet().parameters()).is_cuda:
        torch_unet().to(devices.cpu)
        devices.torch_gc()


def moves_by_itself():
    return bool(getattr(model(), "lowvram", False))


def taken_over():
    """Whether another extension, such as ControlNet, computes the UNet's blocks by itself. It then
    calls no engine, nor does it move anything to the GPU."""
    unet = torch_unet()
    own = vars(unet).get("forward")
    # What it leaves behind afterwards is the class's own again.
    return own is not None and getattr(own, "__func__", None) is not type(unet).forward


def obstacle():
    """What is on that no engine has in it, for people; None if nothing is."""
    if taken_over():
        return "ControlNet, or another extension that works inside of the UNet, is on"
    if getattr(shared, "loaded_hypernetworks", None):
        return "a hypernetwork is on"
    if getattr(sd_hijack.model_hijack, "circular_enabled", False):
        return "tiling is on"
    return None


def networks():
    """The LoRAs that are on, in the order they are applied in."""
    return getattr(sys.modules.get("networks"), "loaded_networks", ())


def read_state_dict(path):
    """The tensors of a .ckpt, on the CPU, through the web UI's own safe reader."""
    return sd_models.read_state_dict(path, map_location="cpu")
