"""Whether an engine can be used here."""
from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

from . import kernels
from .index import Engine

# The package of the bindings has either name.
BINDINGS = ("tensorrt_rtx", "tensorrt_rtx_bindings")


class Machine(NamedTuple):
    # The version of the installed bindings; None if there are none.
    tensorrt: str | None
    # Such as 8.9; None without a GPU.
    compute_capability: str | None
    gpu: str | None = None


def here() -> Machine:
    """Returns this machine; everything is None without torch or TensorRT-RTX."""
    try:
        import torch

        from .tensorrt import trt
    except (ImportError, OSError):
        return Machine(None, None)
    if not torch.cuda.is_available():
        return Machine(trt.__version__, None)
    capability = "{}.{}".format(*torch.cuda.get_device_capability())
    return Machine(trt.__version__, capability, torch.cuda.get_device_name())


@cache
def driver() -> str:
    """Returns the driver's version, which does not change while it is in use."""
    return kernels.driver()


def missing() -> str | None:
    """Returns what is not installed that every engine needs, in words, and imports nothing."""
    if any(find_spec(name) is not None for name in BINDINGS):
        return None
    return (
        "the Python package of TensorRT-RTX is missing: restart the web UI with network access, and without "
        "--skip-install and --skip-prepare-environment"
    )


def on(gpu: int | None) -> AbstractContextManager[object]:
    """Makes the GPU with this number CUDA's current one, where TensorRT-RTX works. None, or a number that no GPU
    has, changes nothing."""
    if gpu is None:
        return nullcontext()
    import torch

    if not torch.cuda.is_available() or gpu >= torch.cuda.device_count():
        return nullcontext()
    chosen: AbstractContextManager[object] = torch.cuda.device(gpu)
    return chosen


def current() -> int | None:
    """Returns the number of CUDA's current GPU, which each thread has its own of; None without torch or a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    number: int = torch.cuda.current_device()
    return number


def is_lost() -> bool:
    """Whether an error, such as an illegal access, has ended all that this process can do on the GPU. Waits for it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def about() -> dict[str, Any]:
    """Returns what a comparison with PyTorch was made with."""
    import torch

    return here()._asdict() | {"torch": torch.__version__}


def laps(run: Callable[[], object], count: int) -> list[float]:
    """Returns the milliseconds that each of `count` calls takes on the GPU, one after the other. Waits for them."""
    import torch

    marks = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    marks[0].record()
    for mark in marks[1:]:
        run()
        mark.record()
    marks[-1].synchronize()
    return [float(begin.elapsed_time(end)) for begin, end in pairwise(marks)]


def obstacle(engine: Engine, machine: Machine) -> str | None:
    """Returns why this engine can't be used on this machine, or None."""
    if machine.tensorrt is None:
        return missing() or "the Python package of TensorRT-RTX can't be loaded here"
    if machine.compute_capability is None:
        return "torch sees no NVIDIA GPU"
    if engine.state == "failed":
        return "sdtrtd found its output to be wrong"
    if engine.tensorrt != machine.tensorrt:
        return f"it was built with TensorRT-RTX {engine.tensorrt}, but {machine.tensorrt} is installed here"
    capabilities = engine.compute_capabilities
    if capabilities and machine.compute_capability not in capabilities:
        return (
            f"it was built for compute capability {', '.join(capabilities)}, "
            f"but this GPU has {machine.compute_capability}"
        )
    return None
