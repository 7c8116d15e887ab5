"""One engine's calls, with stand-ins for TensorRT's context and the GPU. Needs torch; skipped without."""
import sys
import unittest
from types import ModuleType, SimpleNamespace
from unittest import mock

try:
    import torch
except ImportError:
    raise unittest.SkipTest("torch is not installed") from None


class Context:
    """As TensorRT-RTX 1.6: its graph is captured again when a shape or a tensor's address changes, and keeps the memory
    for activations that it was captured with."""

    active_optimization_profile = 0

    def __init__(self):
        self.shapes, self.tensors, self.memory, self.captured = {}, {}, None, None
        # The memory that each call wrote its activations to.
        self.written = []

    def set_input_shape(self, name, shape):
        self.captured = self.captured if self.shapes.get(name) == shape else None
        self.shapes[name] = shape
        return True

    def get_tensor_shape(self, _):
        return self.shapes["sample"]

    def update_device_memory_size_for_shapes(self):
        return 64 * self.shapes["sample"][0]

    def set_tensor_address(self, name, address):
        self.captured = self.captured if self.tensors.get(name) == address else None
        self.tensors[name] = address
        return True

    def set_device_memory(self, address, _):
        self.memory = address

    def execute_async_v3(self, _):
        self.captured = self.captured or self.memory
        self.written.append(self.captured)
        return True


class Calls(unittest.TestCase):
    def setUp(self):
        stub = ModuleType("sdtrt.tensorrt")
        stub.LOGGER, stub.dtype_of, stub.trt = SimpleNamespace(last=""), None, None
        names = ("sdtrt.tensorrt", "sdtrt.engine")
        self.addCleanup(sys.modules.update, {name: sys.modules[name] for name in names if name in sys.modules})
        for name in names:
            self.addCleanup(sys.modules.pop, name, None)
            sys.modules.pop(name, None)
        sys.modules["sdtrt.tensorrt"] = stub
        from sdtrt import engine

        self.module = engine
        empty = torch.empty
        on_cpu = mock.patch.object(torch, "empty", lambda *a, **k: empty(*a, **(k | {"device": "cpu"})))
        stream = mock.Mock(cuda_stream=1)
        for patch in (on_cpu, mock.patch.object(torch.cuda, "current_stream", lambda: stream)):
            patch.start()
            self.addCleanup(patch.stop)
        self.lent = engine.Lent()

    def engine(self):
        made = self.module.Engine.__new__(self.module.Engine)
        made.context, made.runtime, made.engine, made.cache = Context(), None, None, SimpleNamespace()
        made.is_graph, made.dtypes = True, {"sample": torch.float32, self.module.OUTPUT: torch.float32}
        made._lent, made._side = self.lent, None
        made._prepared, made._addresses, made._weights, made._memory, made._still = None, {}, None, None, {}
        self.addCleanup(setattr, made, "context", None)
        return made

    def test_a_graph_never_writes_to_memory_that_was_given_back(self):
        first, other = self.engine(), self.engine()
        one, two = torch.zeros(1, 4), torch.zeros(9, 4)
        held = []

        def compute(engine, sample):
            with mock.patch.object(torch.cuda, "synchronize"):
                engine(0, {"sample": sample})
            # Kept, so that no later allocation is at the same address.
            held.append(self.lent.buffer)
            self.assertEqual(engine.context.written[-1], self.lent.buffer.data_ptr())

        compute(first, one)
        compute(first, one)
        self.lent.release()
        compute(first, one)
        # Another engine needs more, and so the memory moves.
        compute(other, two)
        compute(first, one)
        compute(first, two)
        compute(first, one)

    def test_a_call_may_be_in_inference_mode_or_not(self):
        for modes in (True, False), (False, True):
            engine = self.engine()
            for mode in modes:
                with torch.inference_mode(mode), torch.no_grad():
                    sample = torch.ones(1, 4)
                    engine(0, {"sample": sample})
                    self.assertTrue(torch.equal(engine._still["sample"], sample))
