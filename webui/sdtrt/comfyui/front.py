"""What is ComfyUI's own about its patchers. Versions 0.3.64 to 0.33."""
from __future__ import annotations

import logging
import os
import sys
import sysconfig
from functools import cache
from typing import TYPE_CHECKING, Any

from ..patchers.layers import attention
from ..plain import visible

if TYPE_CHECKING:
    import torch

    from ..packed import Source

LOG = logging.getLogger("sdtrt")


class ComfyUi:
    """ComfyUI, as the engines' adapter for patchers sees it."""

    packages: tuple[str, ...] = ("comfy", "torch")

    def __init__(self) -> None:
        self._said: set[str] = set()

    def is_own(self, file: str) -> bool:
        return is_own(file)

    def is_extension(self, file: str) -> bool:
        return is_extension(file)

    def say(self, line: str) -> None:
        LOG.info("sdtrt: %s", visible(line))

    def say_once(self, line: str) -> None:
        """Says why nothing can be served here, which stays so."""
        if line not in self._said:
            self._said.add(line)
            self.say(line)

    def name(self) -> str:
        return f"ComfyUI, {attention('comfy.ldm.modules.attention', 'optimized_attention')}"

    def path(self, patcher: Any) -> str | None:
        """Returns the file that the core's own loader loaded the model from; up to 0.3 it is not known."""
        init = getattr(patcher, "cached_patcher_init", None)
        path = init[1][0] if init and len(init) > 1 and init[1] else None
        return path if isinstance(path, str) else None

    def source(self, patcher: Any, unet: torch.nn.Module) -> Source | None:
        """Under dynamic VRAM weights lie in the file, and patched ones nowhere as a whole."""
        if not getattr(patcher, "is_dynamic", lambda: False)():
            return None
        from .dynamic import Patched

        return Patched(patcher, unet)

    def approximation(self) -> str | None:
        from comfy.cli_args import args

        return "ComfyUI runs with --fast" if getattr(args, "fast", None) else None


@cache
def is_own(file: str) -> bool:
    """Whether code in this file comes with torch, Python or ComfyUI and its packages."""
    if file.startswith("<"):
        return True
    packages = (sys.modules.get(name) for name in ("torch", "comfy", "comfy_kitchen", "comfy_aimdo"))
    roots = [root for package in packages for root in getattr(package, "__path__", ())]
    library = sysconfig.get_paths()["stdlib"]
    is_installed = any(f"{os.sep}{name}{os.sep}" in file for name in ("site-packages", "dist-packages"))
    return any(is_below(file, root) for root in roots) or (is_below(file, library) and not is_installed)


@cache
def is_extension(file: str) -> bool:
    """Whether a file belongs to somebody's custom nodes."""
    return f"{os.sep}custom_nodes{os.sep}" in file


def is_below(file: str, root: str) -> bool:
    return os.path.abspath(file).startswith(os.path.join(os.path.abspath(root), ""))
