"""A plan on the GPU, run on torch's tensors."""
from __future__ import annotations

import mmap
from contextlib import contextmanager
from pathlib import Path

import torch

from .tensorrt import LOGGER, dtype_of, trt

OUTPUT = "latent"


class EngineError(Exception):
    """TensorRT-RTX refuses something, for people."""


class Engine:
    """One execution context. Memory for activations is torch's, and lent for the time of a call."""

    def __init__(self, plan, cache=None):
        """Loads a plan. `cache` is the file that keeps the kernels compiled for this GPU."""
        # TensorRT-RTX allocates beside torch, which may hold all of the memory for later use.
        torch.cuda.empty_cache()
        self.runtime = trt.Runtime(LOGGER)
        with open(plan, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.engine = self.runtime.deserialize_cuda_engine(data)
        if self.engine is None:
            raise EngineError(f"TensorRT-RTX can't load {plan} on this GPU: {LOGGER.last}")
        config = self.engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        # One kernel for a shape from the first call on, so that an image can be made again.
        config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        self.cache = KernelCache(config, cache)
        self.context = self.engine.create_execution_context(config)
        if self.context is None:
            raise EngineError(f"TensorRT-RTX has no execution context for {plan}: {LOGGER.last}")
        names = [self.engine.get_tensor_name(n) for n in range(self.engine.num_io_tensors)]
        self.dtypes = {name: dtype_of(self.engine.get_tensor_dtype(name)) for name in names}
        self._prepared = None
        # Bytes for the activations of a call, from torch.
        self.lent = 0
        self._side = torch.cuda.Stream()

    def __del__(self):
        # Nothing of it may be under way, and the context goes before what it was made with.
        torch.cuda.synchronize()
        self.context = None

    @property
    def inputs(self):
        return self.dtypes.keys() - {OUTPUT}

    def __call__(self, profile, inputs):
        """Puts one call on torch's current stream, and returns where its output will be."""
        inputs = {
            name: tensor.to(self.dtypes[name]).contiguous() for name, tensor in inputs.items()
        }
        current = torch.cuda.current_stream()
        # On the default stream TensorRT waits for the GPU before and after each call.
        stream = self._side if current.cuda_stream == 0 else current
        shapes = (profile, *(tensor.shape for tensor in inputs.values()))
        if shapes != self._prepared:
            self._prepare(profile, inputs, stream)
            self._prepared = shapes
        device = inputs["sample"].device
        latent = torch.empty(self._shape, dtype=self.dtypes[OUTPUT], device=device)
        memory = torch.empty(self.lent, dtype=torch.uint8, device=device)
        for name, tensor in inputs.items():
            self.context.set_tensor_address(name, tensor.data_ptr())
        self.context.set_tensor_address(OUTPUT, latent.data_ptr())
        self.context.set_device_memory(memory.data_ptr(), self.lent)
        with behind(current, stream):
            if not self.context.execute_async_v3(stream.cuda_stream):
                self._prepared = None
                raise EngineError(f"TensorRT-RTX could not run the engine: {LOGGER.last}")
        return latent

    def _prepare(self, profile, inputs, stream):
        """Tells the context of new shapes."""
        self._prepared = None
        if self.context.active_optimization_profile != profile:
            if not self.context.set_optimization_profile_async(profile, stream.cuda_stream):
                raise EngineError(f"the plan has no optimization profile {profile}: {LOGGER.last}")
        for name, tensor in inputs.items():
            if not self.context.set_input_shape(name, tuple(tensor.shape)):
                raise EngineError(
                    f"the engine takes no {name} of the shape {tuple(tensor.shape)}: {LOGGER.last}"
                )
        self._shape = tuple(self.context.get_tensor_shape(OUTPUT))
        self.lent = self.context.update_device_memory_size_for_shapes()
        self.cache.stale = True


@contextmanager
def behind(current, stream):
    """Work put on `stream` inside comes after what is on `current`, and before what is put there later.
    So what torch frees on `current` meanwhile is not used too early."""
    if stream is current:
        yield
        return
    stream.wait_stream(current)
    try:
        yield
    finally:
        current.wait_stream(stream)


class KernelCache:
    """TensorRT-RTX's runtime cache in a file: the kernels that were compiled for this GPU."""

    def __init__(self, config, path):
        self.path = path and Path(path)
        self.cache = config.create_runtime_cache()
        if self.path and self.path.exists():
            # Of another GPU, driver or version it refuses; then they are compiled anew.
            self.cache.deserialize(self.path.read_bytes())
        config.set_runtime_cache(self.cache)
        # Whether there may be more in it than in the file.
        self.stale = False

    def save(self, write):
        """Writes the file by `write(path, bytes)`, if anything may have come."""
        if self.path and self.stale:
            self.stale = False
            write(self.path, bytes(self.cache.serialize()))
