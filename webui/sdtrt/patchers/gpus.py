"""Which NVIDIA GPU computes a call."""
from __future__ import annotations

from typing import Any


def gpu_of(tensor: Any) -> int | None:
    """Returns the number of the NVIDIA GPU that a tensor is on, or None."""
    import torch

    if not getattr(tensor, "is_cuda", False) or torch.version.cuda is None:
        return None
    index: int | None = tensor.device.index
    return torch.cuda.current_device() if index is None else index


def is_compiling() -> bool:
    """Whether torch.compile traces this call."""
    import torch

    return bool(torch.compiler.is_compiling())
