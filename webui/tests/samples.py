"""An index, its file, and the web UI's UNet with stand-ins for engines."""
import json
from contextlib import contextmanager

from sdtrt import a1111, measuring, proving, signature, unet, watch
from sdtrt.a1111 import hooks
from sdtrt.binding import Unfit
from sdtrt.machine import Machine

from .web_ui import Latent, TorchUnet

HERE = Machine("1.7.1.116", "8.9", "NVIDIA L4")
DRIVER = "580.159.04"
SMALL = {"preset": "default", "width": [512, 512, 768], "height": [512, 512, 768],
         "batch": [1, 2, 8], "tokens": [77, 77, 154]}
LARGE = {"preset": "dynamic", "width": [512, 1024, 2048], "height": [512, 1024, 2048],
         "batch": [1, 2, 8], "tokens": [77, 77, 154]}


def signature_of(width=4):
    """The signature of the stand-in for the web UI's UNet."""
    return signature.Looks().at(TorchUnet("any", width)).signature


def fixed(width=512, height=512, batch=2, tokens=(77, 77, 154)):
    """The profile of a fixed engine."""
    return {"preset": f"{width}x{height}", "width": [width] * 3, "height": [height] * 3, "batch": [batch] * 3,
            "tokens": list(tokens)}


def speed(milliseconds, gpu=HERE.gpu, **call):
    shape = {"width": 512, "height": 512, "batch": 2, "tokens": 77} | call
    return {"gpu": gpu, "milliseconds": milliseconds} | shape


def engine(name="engine", kind="shared", **changes):
    profiles = [SMALL] if kind == "shared" else [SMALL, LARGE]
    return {
        "id": name, "kind": kind, "plan": f"/{name}.engine", "manifest": f"/{name}.json",
        "tensorrt": HERE.tensorrt, "compute_capabilities": ["7.5", HERE.compute_capability],
        "precision": "fp16", "state": "ready", "relative_error": 0.001, "profiles": profiles, "limits": [],
        "speeds": [], "sample": "sample" if kind == "baked" else None,
    } | changes


def baked(name="baked", **changes):
    return engine(name, "baked", **changes)


def checkpoint(name, locations, engines=(), width=4):
    return {"id": name, "unet": f"unet of {name}", "signature": signature_of(width), "architecture": "sd1",
            "locations": [str(path) for path in locations], "engines": engines}


def text(*checkpoints, shared=(), width=4):
    signatures = [{"id": signature_of(width), "architecture": "sd1", "engines": shared}] if shared else []
    return json.dumps(
        {"version": 2, "socket": None, "signatures": signatures, "checkpoints": checkpoints}
    )


class Shaped:
    """A stand-in for a tensor."""

    finite = True

    def __init__(self, *shape):
        self.shape = shape

    def float(self):
        return self


def call(width=512, height=512, batch=2, tokens=77):
    """The web UI's arguments of a call."""
    return Shaped(batch, 4, height // 8, width // 8), Shaped(batch), Shaped(batch, tokens, 768)


class Look:
    """A stand-in for a check of outputs, which counts when it is read."""

    read_so_far = 0

    def __init__(self, *found):
        self.found = found

    def read(self):
        Look.read_so_far += 1
        return [each.finite for each in self.found]


class Gpu:
    """A stand-in for everything on the GPU, which records its calls. A latent says which engine computed it, with
    which weights."""

    def __init__(self, test, folder, measures=False, compares=False):
        """Whether it measures engines, and compares those that sdtrtd has validated, at their first use."""
        # Each call's engine, profile, and whether the weights were examined in detail.
        self.calls, self.said, self.done = [], [], []
        self.broken, self.unfit = set(), None
        # The sample of the loaded weights.
        self.weights = "sample"
        # The pixels from which on engines overflow.
        self.overflows = {}
        # How long calls take that are measured: of engines, by id, and of PyTorch.
        self.milliseconds, self.torch_milliseconds = {}, 30.0
        # The current GPU, and the GPU of each call.
        self.number, self.numbers = None, []
        # What the stand-ins replace.
        self.real = {"on": unet.machine.on}
        for module, name, stand_in in (
            (unet.machine, "here", lambda: HERE), (unet.machine, "missing", lambda: None),
            (unet.machine, "on", self.on), (unet.machine, "driver", lambda: DRIVER),
            (measuring.machine, "laps", self.laps), (measuring.machine, "about", lambda: {"gpu": HERE.gpu}),
            (unet, "is_finite", lambda found: found.finite),
            (proving, "is_finite", lambda found: found.finite),
            (watch, "Look", Look), (a1111, "say", self.said.append),
        ):
            test.addCleanup(setattr, module, name, getattr(module, name))
            setattr(module, name, stand_in)
        hooks.start(folder)
        hooks.unet.gpu = self
        if not measures:
            hooks.unet.measurer.measure = lambda *call: False
        if not compares:
            proven = hooks.unet.chooser.is_proven
            hooks.unet.chooser.is_proven = lambda entry, subject: entry.state == "ready" or proven(entry, subject)
        self.told = []
        hooks.teller.tell = lambda socket, seen: self.told.append(seen)

    def laps(self, run, count):
        """How long PyTorch takes, unless an engine was called."""
        found = []
        for _ in range(count):
            before = len(self.calls)
            run()
            is_engine = len(self.calls) > before
            found.append(self.milliseconds.get(self.calls[-1][0], 10.0) if is_engine else self.torch_milliseconds)
        return found

    @contextmanager
    def on(self, number):
        before, self.number = self.number, number
        yield
        self.number = before

    def serve(self, entry, profile, inputs, read):
        torch_unet = read.unet
        if entry.id in self.broken:
            raise RuntimeError("it is broken")
        if self.unfit:
            raise Unfit(self.unfit)
        assert torch_unet.place == "cuda", "the engine can't read weights on the CPU"
        self.calls.append((entry.id, profile, read.fresh))
        self.numbers.append(self.number)
        x = inputs["sample"]
        pixels = x.shape[2] * x.shape[3] * 64
        finite = x.finite and pixels < self.overflows.get(entry.id, pixels + 1)
        if not entry.is_shared:
            return Latent(f"{entry.id}'s of its own", finite)
        loras = "".join(f" with {name}" for name in torch_unet.loras)
        return Latent(f"{entry.id}'s of {torch_unet.weights}{loras}", finite)

    def sample(self, places):
        return self.weights

    def restore(self, torch_unet):
        self.done.append("restore")

    def restore_all(self):
        self.done.append("restore all")

    def load_ahead(self, choose):
        self.done.append("load ahead")

    def rest(self):
        self.done.append("rest")

    def drop(self):
        self.done.append("drop")

    def save(self):
        self.done.append("save")
