"""Checks whether computed values are finite, at once or later."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def is_finite(tensor: torch.Tensor) -> bool:
    """Whether all values of a tensor are finite. One reduction, which can't overflow, and one wait."""
    return math.isfinite(tensor.norm(math.inf).item())


class Look:
    """Checks several tensors, and waits only when the result is read. On the CPU it is there at once."""

    def __init__(self, *tensors: torch.Tensor) -> None:
        import torch

        norms = torch.stack([tensor.norm(math.inf).float() for tensor in tensors])
        self._event = None
        if norms.is_cuda:
            host = torch.empty(norms.shape, dtype=norms.dtype, pin_memory=True)
            norms = host.copy_(norms, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        self._norms = norms

    def read(self) -> list[bool]:
        """Returns for each tensor whether it is finite."""
        if self._event is not None:
            self._event.synchronize()
        return [math.isfinite(norm) for norm in self._norms.tolist()]
