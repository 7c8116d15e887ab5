"""Which NVIDIA GPU computes a call."""
from __future__ import annotations

import ctypes
from contextlib import suppress
from threading import local
from typing import Any

# The driver's CU_STREAM_CAPTURE_MODE_THREAD_LOCAL.
THREAD_LOCAL = 1
SET = local()


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


def ignore_captures() -> None:
    """Lets this thread allocate memory while another captures a CUDA graph, as engines do in their first call. By
    default the driver refuses that to all threads, whichever GPU they use."""
    if getattr(SET, "ignores", False):
        return
    SET.ignores = True
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libcuda.so.1").cuThreadExchangeStreamCaptureMode(ctypes.byref(ctypes.c_int(THREAD_LOCAL)))
