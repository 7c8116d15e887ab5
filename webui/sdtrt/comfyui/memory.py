"""GPU memory that ComfyUI's manager knows of: it stands in the list of loaded models, and is given back when the
manager makes room for another.

It is never passed to `load_models_gpu`: a patcher that is not dynamic there would have the manager unload everybody's
dynamic weights."""
from __future__ import annotations

from threading import RLock
from typing import Any

import torch
from comfy import model_management
from comfy.model_patcher import ModelPatcher

from ..binding import OutOfMemory

# MultiGPU computes in a thread for each GPU, and the manager's list is one for all.
LOCK = RLock()


class Weights(torch.nn.Module):
    """The weights that TensorRT engines read; the manager names this class in its log."""


class Room(ModelPatcher):
    """Bytes on a GPU, as a patcher that the manager can unload."""

    def __init__(self, device: torch.device, size: int) -> None:
        super().__init__(Weights(), device, torch.device("cpu"), size=size)
        self.buffer: torch.Tensor | None = None
        self.model.device = device
        with LOCK:
            self._take(device, size)

    def _take(self, device: torch.device, size: int) -> None:
        needed = size + model_management.minimum_inference_memory()
        # The memory of dynamic models is given back on demand anyway.
        others = [each for each in model_management.current_loaded_models if is_in_use(each)]
        model_management.free_memory(needed, device, keep_loaded=others, for_dynamic=True)
        try:
            self.buffer = torch.empty(size, dtype=torch.uint8, device=device)
        except torch.cuda.OutOfMemoryError:
            raise OutOfMemory("there is no GPU memory for the UNet's weights as an engine reads them") from None
        loaded = model_management.LoadedModel(self)
        loaded.model_load()
        model_management.current_loaded_models.insert(0, loaded)

    def release(self) -> None:
        """Gives the memory back, and leaves the list."""
        self.buffer = None
        with LOCK:
            for loaded in list(model_management.current_loaded_models):
                if loaded.model is self:
                    model_management.current_loaded_models.remove(loaded)
                    if loaded.model_finalizer is not None:
                        loaded.model_finalizer.detach()

    # What the manager calls.

    def loaded_size(self) -> int:
        return self.buffer.numel() if self.buffer is not None else 0

    def partially_load(self, device_to: Any, extra_memory: Any = 0, force_patch_weights: bool = False) -> int:
        return 0

    def partially_unload(self, device_to: Any, memory_to_free: Any = 0, force_patch_weights: bool = False) -> int:
        freed, self.buffer = self.loaded_size(), None
        return freed

    def detach(self, unpatch_all: bool = True) -> torch.nn.Module:
        self.buffer = None
        return self.model


def is_in_use(loaded: Any) -> bool:
    return bool(getattr(loaded, "currently_used", False)) and not isinstance(loaded.model, Room)
