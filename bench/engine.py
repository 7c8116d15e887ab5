"""TensorRT-RTX engines: built from an ONNX file, and run on torch's tensors."""
import time
from pathlib import Path

import tensorrt_rtx_bindings as trt
import torch

LOGGER = trt.Logger(trt.Logger.WARNING)
VERSION = trt.__version__
TYPES = {trt.float16: torch.float16, trt.float32: torch.float32}


def build(onnx, plan, profiles, compute_capabilities=(), configure=None):
    """Builds the engine of an ONNX file, which refers to its weights relative to its folder, and writes the plan.
    Each profile has the min, opt and max shape of each input; dimensions that are the same in all are fixed.
    Without compute capabilities the library chooses. `configure` may change the builder's configuration. Returns
    seconds, including parsing."""
    start = time.monotonic()
    builder = trt.Builder(LOGGER)
    # 0 is the number of the flag STRONGLY_TYPED: types come from the graph.
    network = builder.create_network(1 << 0)
    parser = trt.OnnxParser(network, LOGGER)
    if not parser.parse_from_file(str(onnx)):
        raise RuntimeError("; ".join(parser.get_error(n).desc() for n in range(parser.num_errors)))
    config = builder.create_builder_config()
    if compute_capabilities:
        config.num_compute_capabilities = len(compute_capabilities)
        for index, name in enumerate(compute_capabilities):
            number = f"SM{name.replace('.', '')}" if name[0].isdigit() else name.upper()
            config.set_compute_capability(getattr(trt.ComputeCapability, number), index)
    if configure:
        configure(config)
    fix(network, profiles)
    for profile in profiles:
        optimization = builder.create_optimization_profile()
        for name, shapes in profile.items():
            optimization.set_shape(name, *shapes)
        config.add_optimization_profile(optimization)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise RuntimeError("TensorRT-RTX could not build the engine")
    # Written completely or not at all: a later run trusts the file.
    aside = Path(f"{plan}.part")
    aside.write_bytes(serialized)
    aside.rename(plan)
    return time.monotonic() - start


def fix(network, profiles):
    """Fixes the dimensions that are the same in all shapes."""
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shapes = [shape for profile in profiles for shape in profile.get(tensor.name, ())]
        if shapes:
            sizes = [set(dimension) for dimension in zip(*shapes)]
            tensor.shape = [size.pop() if len(size) == 1 else -1 for size in sizes]


class Engine:
    """An engine on the GPU, called like the UNet that it was built from. `weights` are the weight inputs; `cache`
    is the file of compiled kernels. With a `profiler`, each call waits for its end and reports the time of each
    layer."""

    def __init__(self, plan, weights=None, cache=None, profiler=None):
        self.runtime = trt.Runtime(LOGGER)
        self.engine = self.runtime.deserialize_cuda_engine(Path(plan).read_bytes())
        if self.engine is None:
            raise RuntimeError("TensorRT-RTX cannot load the plan on this GPU")
        config = self.engine.create_runtime_config()
        # Compile a new shape's kernels at once instead of later in the background: the steady state is measured.
        config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        if not profiler:
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self.cache, self.file = config.create_runtime_cache(), cache and Path(cache)
        if self.file and self.file.exists():
            self.cache.deserialize(self.file.read_bytes())
        config.set_runtime_cache(self.cache)
        self.context = self.engine.create_execution_context(config)
        if self.context is None:
            raise RuntimeError("TensorRT-RTX cannot create an execution context, perhaps for lack of memory")
        if profiler:
            self.context.profiler = profiler
        names = [self.engine.get_tensor_name(n) for n in range(self.engine.num_io_tensors)]
        self.dtypes = {name: TYPES[self.engine.get_tensor_dtype(name)] for name in names}
        # A graph can't be captured on the default stream.
        self.stream = torch.cuda.Stream()
        # Keeps the tensors alive while the engine reads them.
        self.weights = weights or {}
        for name, tensor in self.weights.items():
            assert tensor.is_contiguous() and tensor.dtype == self.dtypes[name], name
            self.context.set_tensor_address(name, tensor.data_ptr())

    def keep(self):
        """Writes the compiled kernels to the cache's file."""
        self.file.write_bytes(bytes(self.cache.serialize()))

    def __call__(self, **inputs):
        """Enqueues one call on torch's current stream, and returns the tensor that its output will be in."""
        for name, tensor in inputs.items():
            assert tensor.is_cuda and tensor.is_contiguous() and tensor.dtype == self.dtypes[name], name
            if not self.context.set_input_shape(name, tuple(tensor.shape)):
                raise RuntimeError(f"{name} of the shape {tuple(tensor.shape)} is outside the profile")
            self.context.set_tensor_address(name, tensor.data_ptr())
        shape = tuple(self.context.get_tensor_shape("latent"))
        latent = torch.empty(shape, dtype=self.dtypes["latent"], device="cuda")
        self.context.set_tensor_address("latent", latent.data_ptr())
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        if not self.context.execute_async_v3(self.stream.cuda_stream):
            raise RuntimeError("TensorRT-RTX could not run the engine")
        current.wait_stream(self.stream)
        return latent
