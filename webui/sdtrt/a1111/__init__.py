"""Everything that engines need from A1111's own modules while they work. Versions 1.6 to 1.10."""
from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache

from modules import devices, paths_internal, sd_hijack, sd_models, shared

from .. import console, loras
from ..changes import Changes
from ..plain import visible
from . import controlnet

# As in timings.
NAME = "AUTOMATIC1111"

# Settings of A1111's built-in extension.
HYPERTILE = ("hypertile_enable_unet", "hypertile_enable_unet_secondpass")

# What ends a path of Python's own library where others' packages begin.
PACKAGES = ("site-packages", "dist-packages")

LOG = console.log()
# The last thing that was said to hold from now on.
_standing: list[str | None] = [None]


def say(line):
    LOG.info("%s", visible(line))


def say_standing(line):
    """Prints a line that holds until another, or None, comes: not again meanwhile."""
    if line is not None and line != _standing[0]:
        say(line)
    _standing[0] = line


def front_end():
    """Returns its name, and how it computes attention, on which PyTorch's times depend."""
    way = getattr(sd_hijack.model_hijack, "optimization_method", None)
    return f"{NAME}, {way or 'plain attention'}"


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


def torch_forward(x, timesteps, context, *args, residuals=None, **kwargs):
    """Computes a call with the web UI's own UNet, after moving it to the GPU if necessary. `residuals` are what
    ControlNets add."""
    if not is_awake():
        wake()
    unet = torch_unet()
    if residuals is None:
        return original_forward(unet)(unet, x, timesteps, context, *args, **kwargs)
    from ..recording import added

    with added(unet, residuals):
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


def uncalled():
    """Returns why version 1.6 calls no engine for the loaded model, in words; None if it does, as all later ones do."""
    unet = torch_unet()
    if unet is None or hasattr(sd_hijack, "ldm_original_forward"):
        return None
    if type(unet).__module__.startswith("sgm."):
        return "A1111 1.6 calls no engines for SDXL"
    if type(unet).forward is original_forward(unet):
        return "A1111 1.6 calls no engines after it has unloaded its model, until it loads another"
    return None


def gpu():
    """Returns the number of the GPU chosen by --device-id, which may differ from CUDA's current one; or None."""
    number = shared.cmd_opts.device_id
    return int(number) if number and number.isdigit() else None


def is_lowvram():
    """Whether the UNet is moved to the GPU only part by part."""
    return shared.cmd_opts.lowvram


def standstill():
    """Returns why the web UI can use no engine as it was started, in words; None if it can."""
    if is_lowvram():
        return "with --lowvram the weights are never all on the GPU, where engines read them"
    kind = getattr(devices.device, "type", None) or str(devices.device).partition(":")[0]
    if kind == "cuda":
        return None
    if kind == "cpu":
        by = " with --use-cpu" if getattr(shared.cmd_opts, "use_cpu", None) else ": torch sees no NVIDIA GPU"
        return f"the web UI computes on the CPU{by}"
    return f"the web UI computes on a device of the type {kind}, and engines need an NVIDIA GPU"


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
    """Whether another extension computes the UNet's blocks itself, and is not recorded. It then neither calls engines
    nor moves anything to the GPU."""
    return has_own_forward(torch_unet())


def has_own_forward(module):
    own = vars(module).get("forward")
    if isinstance(own, controlnet.Recording):
        return False
    # Afterwards, extensions leave the class's own method behind.
    return own is not None and getattr(own, "__func__", None) is not type(module).forward


def altered():
    """Returns what another extension has changed in the UNet, such as Regional Prompter, or inserted, such as
    AnimateDiff, in words; None if there is nothing. Takes a few ms."""
    unet = torch_unet()
    found = next((name for name, part in unet.named_modules() if is_foreign(part, part is unet)), None)
    if found is not None:
        return f"another extension works at {found or 'the whole'} of the UNet"
    return CHANGES.look(unet) if "torch" in sys.modules else None


def replaced():
    """Returns which function that the UNet uses has been replaced since, in words; None if none has."""
    return CHANGES.look_again() if "torch" in sys.modules else None


def is_foreign(module, is_whole=False):
    if has_own_forward(module) and not hasattr(module, "__webui_hypertile_params"):
        return True
    # --medvram hooks the whole.
    if not is_whole and (getattr(module, "_forward_hooks", None) or getattr(module, "_forward_pre_hooks", None)):
        return True
    # Token merging derives its own class from the UNet's.
    bases = (kind.__module__ for kind in type(module).__mro__ if kind.__name__ not in ("Module", "object"))
    return not any(base.partition(".")[0] in ("ldm", "sgm", "torch") for base in bases)


@cache
def is_own(file):
    """Whether code in this file comes with torch, Python or the web UI."""
    if file.startswith("<"):
        return True
    # Python's own library, and not what is installed in a folder inside it.
    library = sysconfig.get_paths()["stdlib"]
    if is_below(file, library) and not any(f"{os.sep}{name}{os.sep}" in file for name in PACKAGES):
        return True
    own = ("modules", "extensions-builtin", "repositories")
    roots = [os.path.join(paths_internal.script_path, name) for name in own]
    # Token merging is the web UI's own choice, and engines go without.
    packages = (sys.modules.get(name) for name in ("torch", "ldm", "sgm", "tomesd"))
    roots += [root for package in packages for root in getattr(package, "__path__", ())]
    return any(is_below(file, root) for root in roots)


@cache
def is_extension(file):
    """Whether code in this file is an extension's, or a script's."""
    folders = [os.path.join(paths_internal.script_path, "extensions"), paths_internal.extensions_dir]
    folders += [os.path.join(path, "scripts") for path in (paths_internal.script_path, paths_internal.data_path)]
    return any(is_below(file, folder) for folder in folders)


def is_below(file, folder):
    """Whether a file is in a folder, which links may lead to."""
    begin = (os.path.join(path, "") for path in (os.path.abspath(folder), os.path.realpath(folder)))
    return os.path.abspath(file).startswith(tuple(begin))


def is_idle(code):
    """Whether this is what Regional Prompter, in mode Latent, has every linear layer call: it gives LoRAs the strengths
    of each region. Without LoRAs it computes what the layer does."""
    is_its = code.co_name in ("h_Linear_forward", "h15_Linear_forward") and "changethelora" in code.co_names
    return is_its and not networks()


CHANGES = Changes(is_own, is_extension, is_idle)


def obstacle():
    """Returns what is active that no engine includes, in words; None if nothing is."""
    still = standstill()
    if still is not None:
        return still
    if taken_over():
        return controlnet.obstacle(vars(torch_unet()).get("forward"))
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
