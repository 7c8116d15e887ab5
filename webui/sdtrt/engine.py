"""Runs a plan on the GPU with torch's tensors."""
from __future__ import annotations

import mmap
from contextlib import contextmanager

import torch

from . import card
from .kernels import KernelCache
from .tensorrt import LOGGER, dtype_of, trt

OUTPUT = "latent"
# The GPU memory that TensorRT-RTX needs beyond a plan's own size, generously.
SPARE = 512 << 20


class EngineError(Exception):
    """TensorRT-RTX refused something; says what."""


class Lent:
    """torch memory for activations, shared by all engines: one call ends before the next starts."""

    def __init__(self):
        self.buffer = None

    def of(self, size):
        """Returns at least `size` bytes."""
        if self.buffer is None or self.buffer.numel() < size:
            self.buffer = None
            self.buffer = torch.empty(max(size, 1), dtype=torch.uint8, device="cuda")
        return self.buffer

    def release(self):
        self.buffer = None


class Engine:
    """An engine with one execution context."""

    def __init__(self, plan, cache, lent, weights=frozenset()):
        """Loads a plan. `cache` is the file of its kernels, `lent` the memory for activations, `weights` the names
        of the weight inputs. Runs as a CUDA graph if TensorRT-RTX can, which saves up to 1 ms per call."""
        with open(plan, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # TensorRT-RTX allocates outside of torch, which may have reserved all of the memory.
        if torch.cuda.mem_get_info()[0] < len(data) + SPARE:
            torch.cuda.empty_cache()
        self.runtime = trt.Runtime(LOGGER)
        self.engine = self.runtime.deserialize_cuda_engine(data)
        if self.engine is None:
            raise EngineError(f"TensorRT-RTX cannot load {plan} on this GPU: {LOGGER.last}")
        config = self.engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(
            trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        # One kernel for a shape from the first call on, so that images are reproducible.
        config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        self.is_graph = hasattr(config, "cuda_graph_strategy")
        if self.is_graph:
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self.cache = KernelCache(config, cache, card.current())
        self.context = self.engine.create_execution_context(config)
        if self.context is None:
            raise EngineError(f"TensorRT-RTX cannot create an execution context for {plan}: {LOGGER.last}")
        names = [self.engine.get_tensor_name(n) for n in range(self.engine.num_io_tensors)]
        absent = weights - set(names)
        if absent:
            raise EngineError(f"{plan} has no input {min(absent)}, which its manifest lists")
        self.dtypes = {
            name: dtype_of(self.engine.get_tensor_dtype(name)) for name in names if name not in weights
        }
        self.inputs = self.dtypes.keys() - {OUTPUT}
        self._lent = lent
        self._side = torch.cuda.Stream()
        # What the context was last set to: shapes, addresses by input, and the address of its memory.
        self._prepared, self._addresses, self._weights, self._memory = None, {}, None, None
        # For a CUDA graph: tensors that calls are copied into and out of.
        self._still = {}

    def __del__(self):
        # No work may be pending, and the context is freed before what it was created from.
        torch.cuda.synchronize()
        self.context = None

    def __call__(self, profile, inputs, weights=None):
        """Enqueues one call on torch's current stream, and returns the tensor that its output will be in.
        `weights` are the addresses of the weight inputs; a dictionary that was set before is not read again."""
        current = torch.cuda.current_stream()
        # On the default stream TensorRT would wait for the GPU before and after each call.
        stream = self._side if current.cuda_stream == 0 else current
        shapes = (profile, *((name, tuple(tensor.shape)) for name, tensor in inputs.items()))
        try:
            if shapes != self._prepared or self._has_moved():
                self._prepare(profile, inputs, stream)
                self._prepared = shapes
            latent = self._still[OUTPUT] if self.is_graph else self._new_latent()
            # Kept alive until the call is enqueued.
            held = {name: self._placed(name, tensor) for name, tensor in inputs.items()}
            for name, tensor in (held | {OUTPUT: latent}).items():
                self._address(name, tensor.data_ptr())
            if weights is not self._weights:
                for name, address in weights.items():
                    self._address(name, address)
                self._weights = weights
            self._lend()
            with behind(current, stream):
                if not self.context.execute_async_v3(stream.cuda_stream):
                    raise EngineError(f"TensorRT-RTX could not run the engine: {LOGGER.last}")
        except BaseException:
            self._prepared, self._addresses, self._weights, self._memory = None, {}, None, None
            raise
        return latent.clone() if self.is_graph else latent

    def _placed(self, name, tensor):
        """Returns an input in the type and place that the engine reads."""
        if not self.is_graph:
            return tensor.to(self.dtypes[name]).contiguous()
        return self._still[name].copy_(tensor)

    def _new_latent(self):
        return torch.empty(self._shape, dtype=self.dtypes[OUTPUT], device="cuda")

    def _address(self, name, address):
        if self._addresses.get(name) == address:
            return
        if not self.context.set_tensor_address(name, address):
            raise EngineError(f"TensorRT-RTX refuses the address of {name}: {LOGGER.last}")
        self._addresses[name] = address

    def _has_moved(self):
        """Whether a graph was captured with other memory for activations. TensorRT-RTX 1.6 captures again when a
        shape or an input's address changes, but not for this: its graph would write to memory that is others' now."""
        return self.is_graph and self._memory not in (None, self._lent.of(self.needs).data_ptr())

    def _lend(self):
        memory = self._lent.of(self.needs).data_ptr()
        if memory != self._memory:
            self.context.set_device_memory(memory, self.needs)
            self._memory = memory

    def _prepare(self, profile, inputs, stream):
        """Sets new shapes."""
        self._prepared = self._memory = None
        is_other = self.context.active_optimization_profile != profile
        if is_other and not self.context.set_optimization_profile_async(profile, stream.cuda_stream):
            raise EngineError(f"the plan has no optimization profile {profile}: {LOGGER.last}")
        for name, tensor in inputs.items():
            if not self.context.set_input_shape(name, tuple(tensor.shape)):
                raise EngineError(
                    f"the engine does not accept the shape {tuple(tensor.shape)} for {name}: {LOGGER.last}"
                )
        self._shape = tuple(self.context.get_tensor_shape(OUTPUT))
        # Bytes for a call's activations.
        self.needs = self.context.update_device_memory_size_for_shapes()
        self.cache.stale = True
        if self.is_graph:
            # At other addresses than before, so that the graph is captured again.
            new = lambda name, tensor: torch.empty(tensor.shape, dtype=self.dtypes[name], device="cuda")
            # What was made in inference mode can be written to in no other, and ComfyUI has no such mode in the threads
            # of MultiGPU.
            with torch.inference_mode(False):
                self._still = {name: new(name, tensor) for name, tensor in inputs.items()}
                self._still[OUTPUT] = self._new_latent()


@contextmanager
def behind(current, stream):
    """Orders work enqueued on `stream` inside after what is on `current`, and before what is enqueued there later,
    so that memory which torch frees on `current` meanwhile is not reused too early."""
    if stream is current:
        yield
        return
    stream.wait_stream(current)
    try:
        yield
    finally:
        current.wait_stream(stream)
