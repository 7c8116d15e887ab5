"""Which memory does a CUDA graph keep that TensorRT-RTX has captured (WHOLE_GRAPH_CAPTURE)?

    python3 bench/graph_memory.py

Whatever a call had before is kept allocated and filled with a pattern: whoever writes to it is seen. Needs a GPU, torch
and TensorRT-RTX's Python package. The result is in docs/graph.md."""
from __future__ import annotations

import torch

try:
    import tensorrt_rtx as trt
except ImportError:
    import tensorrt_rtx_bindings as trt

LOGGER = trt.Logger(trt.Logger.WARNING)
SMALL, LARGE = (1, 64, 64, 64), (2, 64, 256, 256)
PATTERN = 0x35


def plan():
    """Some convolutions, so that there are activations to keep."""
    builder = trt.Builder(LOGGER)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    now, kept = network.add_input("x", trt.float16, (-1, 64, -1, -1)), []
    for _ in range(6):
        kept.append((torch.randn(64, 64, 3, 3) / 24).half().numpy())
        layer = network.add_convolution_nd(now, 64, (3, 3), trt.Weights(kept[-1]), trt.Weights())
        layer.padding_nd = (1, 1)
        activation = network.add_activation(layer.get_output(0), trt.ActivationType.SIGMOID)
        now = network.add_elementwise(activation.get_output(0), now, trt.ElementWiseOperation.SUM).get_output(0)
    now.name = "y"
    network.mark_output(now)
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", (1, 64, 32, 32), SMALL, (4, 64, 256, 256))
    config.add_optimization_profile(profile)
    return builder.build_serialized_network(network, config)


class Call:
    """An execution context whose memory is the caller's."""

    def __init__(self, engine, stream, captures):
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        if captures:
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self.context, self.stream, self.config = engine.create_execution_context(config), stream, config

    def set_shape(self, shape):
        self.shape = shape
        self.context.set_input_shape("x", shape)
        self.needs = self.context.update_device_memory_size_for_shapes()

    def set_memory(self, buffer=None):
        if buffer is None:
            buffer = torch.zeros(max(self.needs, 256), dtype=torch.uint8, device="cuda")
        self.context.set_device_memory(buffer.data_ptr(), buffer.numel())
        return buffer

    def set_tensors(self, x=None, y=None):
        x = torch.randn(self.shape, device="cuda").half() if x is None else x
        y = torch.zeros(self.shape, device="cuda").half() if y is None else y
        self.context.set_tensor_address("x", x.data_ptr())
        self.context.set_tensor_address("y", y.data_ptr())
        return x, y

    def run(self, times=3):
        torch.cuda.synchronize()
        for _ in range(times):
            assert self.context.execute_async_v3(self.stream.cuda_stream)
        self.stream.synchronize()


def mark(*buffers):
    for buffer in buffers:
        buffer.view(torch.uint8).fill_(PATTERN)


def written(*buffers):
    return ", ".join("WRITTEN" if bool((b.view(torch.uint8) != PATTERN).any()) else "untouched" for b in buffers)


def main():
    torch.manual_seed(0)
    engine, stream = trt.Runtime(LOGGER).deserialize_cuda_engine(plan()), torch.cuda.Stream()
    print(f"TensorRT-RTX {trt.__version__}, {torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    plain = Call(engine, stream, captures=False)

    def judged(x, y):
        plain.set_shape(tuple(x.shape))
        _memory, (_, expected) = plain.set_memory(), plain.set_tensors(x)
        plain.run(1)
        return "right" if torch.allclose(y, expected, atol=2e-2) else "WRONG"

    for captures in (False, True):
        print("with a graph" if captures else "without a graph")
        call = Call(engine, stream, captures)
        call.set_shape(SMALL)
        first = call.set_memory()
        x, y = call.set_tensors()
        call.run()
        second = call.set_memory()
        mark(first)
        call.run()
        print(f"  other memory alone: output {judged(x, y)}; old memory {written(first)}")
        mark(y)
        x2, y2 = call.set_tensors()
        call.run()
        print(f"  other input and output: output {judged(x2, y2)}; old output {written(y)}")
        call.set_shape(LARGE)
        third = call.set_memory()
        x3, y3 = call.set_tensors()
        call.run()
        print(f"  larger shape: output {judged(x3, y3)}")
        call.set_shape(SMALL)
        call.set_memory(third)
        x4, y4 = call.set_tensors()
        mark(first, second, y, y2)
        call.run()
        print(f"  back to the first shape: output {judged(x4, y4)}; old memory and outputs "
              f"{written(first, second, y, y2)}")


if __name__ == "__main__":
    main()
