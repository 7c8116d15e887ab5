"""Everything that engines need from A1111's own modules while they work. Versions 1.6 to 1.10."""
from __future__ import annotations

import logging
import sys

from modules import devices, sd_hijack, sd_models, shared

from .. import loras
from ..plain import visible

# Settings of A1111's built-in extension.
HYPERTILE = ("hypertile_enable_unet", "hypertile_enable_unet_secondpass")

LOG = logging.getLogger("sdtrt")
if not LOG.handlers:
    # The web UI shows only warnings, but these lines are for whoever watches its console.
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("sdtrt: %(message)s"))
    LOG.addHandler(console)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def say(line):
    LOG.info("%s", visible(line))


def loaded_path():
    """Returns the file of the loaded checkpoint, as the web UI names it."""
    info = getattr(model(), "sd_checkpoint_info", None)
    return info and info.filename


def loaded_name():
    """Returns the name that 'Automatic' looks for among the options."""
    info = getattr(model(), "sd_checkpoint_info", None)
    return info and info.model_name


def model():
    """Returns the loaded model, or None. `shared.sd_model` would load one, and wait for it."""
    return sd_models.model_data.sd_model


def torch_unet():
    """Returns the loaded model's UNet, which may be another object at each call; None without a model."""
    return getattr(getattr(model(), "model", None), "diffusion_model", None)


def torch_forward(x, timesteps, context, *args, **kwargs):
    """Computes a call with the web UI's own UNet, after moving it to the GPU if necessary."""
    if not is_awake():
        wake()
    unet = torch_unet()
    return original_forward(unet)(unet, x, timesteps, context, *args, **kwargs)


def original_forward(unet):
    """Returns the UNet's forward method from before the web UI replaced it."""
    family = "sgm" if type(unet).__module__.startswith("sgm.") else "ldm"
    original = getattr(sd_hijack, f"{family}_original_forward", None)
    if original is not None:
        return original
    # 1.6
    from ldm.modules.diffusionmodules import openaimodel

    return openaimodel.copy_of_UNetModel_forward_for_webui


def has_queue():
    """Whether a page may poll: not with --no-gradio-queue."""
    return not getattr(shared.cmd_opts, "no_gradio_queue", False)


def gpu():
    """Returns the number of the GPU chosen by --device-id, which may differ from CUDA's current one; or None."""
    number = shared.cmd_opts.device_id
    return int(number) if number and number.isdigit() else None


def is_lowvram():
    """Whether the UNet is moved to the GPU only part by part."""
    return shared.cmd_opts.lowvram


def is_awake():
    """Whether the web UI's UNet is on the GPU, judging by its first parameter: checking all of them takes as long
    as some calls."""
    return next(torch_unet().parameters()).is_cuda


def wake():
    """Moves the web UI's UNet to the GPU, except with --lowvram, which moves it part by part."""
    if not is_lowvram():
        torch_unet().to(devices.device)


def wake_for_later():
    """The same for later calls: --medvram moves it by itself then."""
    if torch_unet() is not None and not getattr(model(), "lowvram", False):
        wake()


def taken_over():
    """Whether another extension, such as ControlNet, computes the UNet's blocks itself. It then neither calls
    engines nor moves anything to the GPU."""
    return has_own_forward(torch_unet())


def has_own_forward(module):
    own = vars(module).get("forward")
    # Afterwards, extensions leave the class's own method behind.
    return own is not None and getattr(own, "__func__", None) is not type(module).forward


def altered():
    """Returns the part of the UNet that another extension has changed, such as Regional Prompter, or inserted,
    such as AnimateDiff; None if there is none. Takes a few ms."""
    return next((name for name, part in torch_unet().named_modules() if is_foreign(part)), None)


def is_foreign(module):
    if has_own_forward(module) and not hasattr(module, "__webui_hypertile_params"):
        return True
    # Token merging derives its own class from the UNet's.
    bases = (kind.__module__ for kind in type(module).__mro__ if kind.__name__ not in ("Module", "object"))
    return not any(base.partition(".")[0] in ("ldm", "sgm", "torch") for base in bases)


def obstacle():
    """Returns what is active that no engine includes, in words; None if nothing is."""
    if taken_over():
        return "ControlNet, or another extension that works inside the UNet, is active"
    if getattr(shared, "loaded_hypernetworks", None):
        return "a hypernetwork is active"
    if getattr(sd_hijack.model_hijack, "circular_enabled", False):
        return "tiling is on"
    if networks() and getattr(shared.opts, "lora_functional", False):
        return "LoRAs are active with the setting lora_functional, which keeps them out of the weights"
    return None


def approximation(from_file):
    """Returns why the web UI's own UNet computes something other than its weights or, for an engine `from_file`,
    its checkpoint determine, in words; None if it does not. An engine can't be compared with it then."""
    if getattr(model(), "applied_token_merged_ratio", 0):
        return "token merging is on"
    if any(getattr(shared.opts, name, False) for name in HYPERTILE):
        return "HyperTile is on"
    if from_file and getattr(devices, "fp8", False):
        return "PyTorch's weights are in fp8"
    return None


def networks():
    """Returns the active LoRAs, in the order in which they are applied."""
    return getattr(sys.modules.get("networks"), "loaded_networks", ())


def lora_state():
    """Returns what determines the UNet's weights besides its file."""
    return loras.state(networks())


def loras_touch_unet():
    """Whether any active LoRA changes more than the text encoder."""
    return loras.touch_unet(networks())


def source():
    """Engines read the weights in the modules, where the web UI has them too."""
    return


def apply_networks():
    """Lets the web UI's built-in extension apply the active LoRAs to the UNet's weights. In PyTorch's calls each
    layer does this itself. Takes a few ms if nothing has changed."""
    apply = getattr(sys.modules.get("networks"), "network_apply_weights", None)
    if apply is None or getattr(shared.opts, "lora_functional", False):
        return
    for module in torch_unet().modules():
        if hasattr(module, "network_layer_name") and getattr(module, "weight", None) is not None:
            apply(module)
