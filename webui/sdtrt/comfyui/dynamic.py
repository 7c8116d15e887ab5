"""Patched weights under dynamic VRAM, where each layer's are patched only when it computes."""
from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any
from weakref import ref

import torch

from ..binding import Unfit
from ..packed import Memory
from ..patchers.patches import UNET
from .memory import Room


class Patched:
    """The weights of a dynamic patcher's UNet, fetched with ComfyUI's own functions."""

    def __init__(self, patcher: Any, unet: torch.nn.Module) -> None:
        self._patcher, self._unet = patcher, unet

    def shape(self, name: str) -> Sequence[int]:
        return tuple(self._parameter(name).shape)

    def state(self, name: str) -> Hashable:
        found = self._parameter(name)
        # Each change of patches has another id.
        patches = self._patcher.patches_uuid if self._key(name) in self._patcher.patches else None
        # Tensors made for inference alone count no changes.
        version = None if found.is_inference() else found._version
        return ref(found), found.data_ptr(), version, patches

    def fetch(self, name: str) -> torch.Tensor:
        key, found = self._key(name), self._parameter(name)
        if key in self._patcher.backup:
            # Small layers are loaded patched: to patch them again would be once too often.
            return found
        path, _, last = name.rpartition(".")
        layer = self._unet.get_submodule(path)
        patch = getattr(layer, f"{last}_lowvram_function", None)
        if patch is not None:
            return self._patched(key, found, layer, patch)
        fetched: torch.Tensor = self._patcher.patch_weight_to_device(
            key, device_to=self._patcher.load_device, return_weight=True, force_cast=True
        )
        return fetched

    def _patched(self, key: str, found: torch.Tensor, layer: Any, patch: Any) -> torch.Tensor:
        """Returns what the layer computes with: patched by its own function, in the type that the UNet computes in, and
        kept in the type of the model's memory. `patch_weight_to_device` computes patches in fp32, with other values for
        some: in fp16 OFT and BOFT fail, which ComfyUI logs, and change nothing."""
        from comfy import float as rounding
        from comfy import model_management, utils

        kept = getattr(found, "_model_dtype", None) or found.dtype
        weight = model_management.cast_to_device(found, self._patcher.load_device, kept, copy=True)
        # A new one: the layer's own may hold patches that were made ready for a stream.
        again = type(patch)(key, self._patcher.patches)
        weight = again(weight.to(self._patcher.model.get_dtype_inference()))
        rounded: torch.Tensor = rounding.stochastic_rounding(weight, kept, seed=utils.string_to_seed(layer.seed_key))
        return rounded

    def allocate(self, size: int) -> Memory:
        return Room(self._patcher.load_device, size)

    def _key(self, name: str) -> str:
        return f"{UNET}.{name}"

    def _parameter(self, name: str) -> torch.Tensor:
        """Returns what a layer has. Raises Unfit if that is none, or quantised."""
        path, _, last = name.rpartition(".")
        try:
            found = getattr(self._unet.get_submodule(path), last)
        except AttributeError:
            raise Unfit(f"the UNet has no {name}, which the engine reads") from None
        if type(found) not in (torch.nn.Parameter, torch.Tensor):
            raise Unfit(f"{name} is a {type(found).__name__}, which only its own code can read")
        if found.is_meta or not found.is_floating_point():
            raise Unfit(f"{name} is not a plain floating-point tensor ({found.dtype}, on {found.device})")
        return found
