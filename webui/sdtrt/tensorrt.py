"""TensorRT-RTX under either of its package names, and where torch's names differ."""
from __future__ import annotations

import torch

__all__ = ["DTYPES", "LOGGER", "Logger", "dtype_of", "trt"]

try:
    import tensorrt_rtx as trt
except ImportError:
    import tensorrt_rtx_bindings as trt


class Logger(trt.ILogger):
    """Keeps the last error, for the exception that follows."""

    def __init__(self):
        super().__init__()
        self.last = "no further message"

    def log(self, severity, message):
        if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
            self.last = message


LOGGER = Logger()

DTYPES = {
    trt.float32: torch.float32,
    trt.float16: torch.float16,
    trt.bfloat16: torch.bfloat16,
    trt.int64: torch.int64,
    trt.int32: torch.int32,
    trt.int8: torch.int8,
    trt.uint8: torch.uint8,
    trt.bool: torch.bool,
}


def dtype_of(kind):
    """Returns torch's type for TensorRT's."""
    if kind not in DTYPES:
        raise TypeError(f"torch has no type for TensorRT's {kind}")
    return DTYPES[kind]
