"""All that is asked of A1111's own modules at work. Versions 1.6 to 1.10."""
from __future__ import annotations

import logging
import sys

from modules import devices, sd_hijack, sd_models, shared

from .plain import visible

# Settings of A1111's own extension.
HYPERTILE = ("hypertile_enable_unet", "hypertile_enable_unet_secondpass")

LOG = logging.getLogger("sdtrt")
if not LOG.handlers:
    # The web UI shows warnings alone, and these lines are for whoever has its console before them.
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("sdtrt: %(message)s"))
    LOG.addHandler(console)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def say(line):
    LOG.info("%s", visible(line))


def loaded_path():
    """The file of the checkpoint that is loaded, as the web UI calls it."""
    info = getattr(model(), "sd_checkpoint_info", None)
    return info and info.filename


def loaded_name():
    """What 'Automatic' looks for among the options."""
    info = getattr(model(), "sd_checkpoint_info", None)
    return info and info.model_name


def model():
    """The model that is loaded, or None. `shared.sd_model` would load one, and wait for it."""
    return sd_models.model_data.sd_model


def torch_unet():
    """The UNet of the model that is loaded, which may be another object than a moment ago; None without any."""
    return getattr(getattr(model(), "model", None), "diffusion_model", None)


def torch_forward(x, timesteps, context, *args, **kwargs):
    """A call computed by the web UI's own UNet, which is moved to the GPU if it is not there."""
    if not is_awake():
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


def has_queue():
    """Whether a page may ask again and again: not with --no-gradio-queue."""
    return not getattr(shared.cmd_opts, "no_gradio_queue", False)


def gpu():
    """The number of the GPU that --device-id chooses, which CUDA's current one need not be; or None."""
    number = shared.cmd_opts.device_id
    return int(number) if number and number.isdigit() else None


def is_lowvram():
    """Whether the UNet is only brought to the GPU part by part."""
    return shared.cmd_opts.lowvram


def is_awake():
    """Whether the web UI's UNet is on the GPU, as far as its first parameter tells: to look at all of them takes
    as long as some calls."""
    return next(torch_unet().parameters()).is_cuda


def wake():
    """Moves the web UI's UNet to the GPU, but for what --lowvram brings there part by part."""
    if not is_lowvram():
        torch_unet().to(devices.device)


def wake_for_later():
    """The same for calls that come later: --medvram then brings it by itself."""
    if torch_unet() is not None and not getattr(model(), "lowvram", False):
        wake()


def taken_over():
    """Whether another extension, such as ControlNet, computes the UNet's blocks by itself. It then
    calls no engine, nor does it move anything to the GPU."""
    return has_own_forward(torch_unet())


def has_own_forward(module):
    own = vars(module).get("forward")
    # What extensions leave behind afterwards is the class's own again.
    return own is not None and getattr(own, "__func__", None) is not type(module).forward


def altered():
    """The part of the UNet that another extension has changed, such as Regional Prompter, or put there, such
    as AnimateDiff; None if there is none. Takes a few ms to find out."""
    return next((name for name, part in torch_unet().named_modules() if is_foreign(part)), None)


def is_foreign(module):
    if has_own_forward(module) and not hasattr(module, "__webui_hypertile_params"):
        return True
    # Token merging makes a class of its own of the UNet's.
    bases = (kind.__module__ for kind in type(module).__mro__ if kind.__name__ not in ("Module", "object"))
    return not any(base.partition(".")[0] in ("ldm", "sgm", "torch") for base in bases)


def obstacle():
    """What is on that no engine has in it, for people; None if nothing is."""
    if taken_over():
        return "ControlNet, or another extension that works inside of the UNet, is on"
    if getattr(shared, "loaded_hypernetworks", None):
        return "a hypernetwork is on"
    if getattr(sd_hijack.model_hijack, "circular_enabled", False):
        return "tiling is on"
    if networks() and getattr(shared.opts, "lora_functional", False):
        return "LoRAs are on, and the setting lora_functional, which leaves them out of the weights"
    return None


def approximation(from_file):
    """Why the web UI's own UNet computes something else than its weights say, or for an engine `from_file` than
    its checkpoint says, for people; None if it does not. It is no measure of an engine then."""
    if getattr(model(), "applied_token_merged_ratio", 0):
        return "token merging is on"
    if any(getattr(shared.opts, name, False) for name in HYPERTILE):
        return "HyperTile is on"
    if from_file and getattr(devices, "fp8", False):
        return "PyTorch's weights are in fp8"
    return None


def networks():
    """The LoRAs that are on, in the order they are applied in."""
    return getattr(sys.modules.get("networks"), "loaded_networks", ())


def apply_networks():
    """Has the web UI's own extension put the LoRAs that are on into the UNet's weights. In a call of PyTorch's
    each layer does this by itself. Costs a few ms where nothing has changed."""
    apply = getattr(sys.modules.get("networks"), "network_apply_weights", None)
    if apply is None or getattr(shared.opts, "lora_functional", False):
        return
    for module in torch_unet().modules():
        if hasattr(module, "network_layer_name") and getattr(module, "weight", None) is not None:
            apply(module)
