"""What is Forge's own about its model patchers."""
from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from typing import TYPE_CHECKING, Any

from .. import console
from ..patchers.layers import attention
from ..plain import visible

if TYPE_CHECKING:
    import torch

    from ..packed import Source

# As in timings.
NAME = "Forge"

LOG = console.log()
# Where a UNet's class is from: Forge and Forge Neo, and reForge.
UNETS = ("backend.nn.unet", "ldm_patched.ldm.modules.diffusionmodules.openaimodel")
# Flags with which PyTorch computes less exactly than it could, by the module that knows them.
INEXACT = {
    "backend.args": ("fast_fp8", "fast_fp16"),
    "ldm_patched.modules.args_parser": ("fast", "use_sage_attention", "use_sage_attention3"),
}
PACKAGES = ("site-packages", "dist-packages")


class Forge:
    """Forge, as the engines' adapter for patchers sees it."""

    packages: tuple[str, ...] = ("backend", "diffusers", "ldm_patched", "modules_forge", "torch")

    def __init__(self) -> None:
        self._said: set[str] = set()

    def is_own(self, file: str) -> bool:
        return is_own(file)

    def is_extension(self, file: str) -> bool:
        return is_extension(file)

    def say(self, line: str) -> None:
        LOG.info("%s", visible(line))

    def say_once(self, line: str) -> None:
        """Says why nothing can be served here, which stays so."""
        if line not in self._said:
            self._said.add(line)
            self.say(line)

    def name(self) -> str:
        neo = attention("backend.attention", "attention_function")
        return f"{NAME}, {neo or attention('ldm_patched.ldm.modules.attention', 'optimized_attention')}"

    def path(self, patcher: Any) -> str | None:
        """Returns the file of the loaded checkpoint, if the weights are still those in it."""
        if refined() is not None:
            return None
        loaded = loaded_model()
        objects = getattr(loaded, "forge_objects", None)
        is_its = getattr(getattr(objects, "unet", None), "model", None) is getattr(patcher, "model", None)
        info = getattr(loaded, "sd_checkpoint_info", None)
        return info.filename if is_its and info is not None else None

    def source(self, patcher: Any, unet: torch.nn.Module) -> Source | None:
        """Patched weights lie in the modules."""
        return None

    def approximation(self) -> str | None:
        for name, flags in INEXACT.items():
            known = getattr(sys.modules.get(name), "args", None)
            on = next((flag for flag in flags if getattr(known, flag, None)), None)
            if on is not None:
                return f"the web UI runs with --{on.replace('_', '-')}"
        attention = getattr(sys.modules.get("backend.attention"), "attention_function", None)
        is_sage = getattr(attention, "__name__", "") == "attention_sage"
        return "SageAttention computes attention" if is_sage else None


def loaded_model() -> Any:
    """Returns the loaded model, or None: `shared.sd_model` would load one."""
    return getattr(getattr(sys.modules.get("modules.sd_models"), "model_data", None), "sd_model", None)


def refined() -> str | None:
    """Returns the file of the checkpoint whose weights Forge Neo's fast refiner has replaced in the loaded model."""
    found: str | None = getattr(sys.modules.get("modules.sd_samplers_common"), "ORIGINAL_CHECKPOINT", None)
    return found


def is_unet(unet: Any) -> bool:
    return any(kind.__module__ in UNETS and kind.__name__.endswith("Model") for kind in type(unet).__mro__)


@cache
def is_own(file: str) -> bool:
    """Whether code in this file comes with torch, Python or the web UI."""
    from modules import paths_internal

    if file.startswith("<"):
        return True
    packages = (sys.modules.get(name) for name in ("torch", "diffusers", "comfy_kitchen"))
    if any(is_below(file, root) for package in packages for root in getattr(package, "__path__", ())):
        return True
    if any(f"{os.sep}{name}{os.sep}" in file for name in PACKAGES) or is_extension(file):
        return False
    return is_below(file, sysconfig.get_paths()["stdlib"]) or is_below(file, paths_internal.script_path)


@cache
def is_extension(file: str) -> bool:
    """Whether code in this file is an extension's, or a script's."""
    from modules import paths_internal

    roots = (paths_internal.script_path, paths_internal.data_path)
    folders = [os.path.join(root, name) for root in roots for name in ("extensions", "scripts")]
    return any(is_below(file, folder) for folder in [*folders, paths_internal.extensions_dir])


def is_below(file: str, folder: str) -> bool:
    """Whether a file is in a folder, which links may lead to."""
    begin = (os.path.join(path, "") for path in (os.path.abspath(folder), os.path.realpath(folder)))
    return os.path.abspath(file).startswith(tuple(begin))
