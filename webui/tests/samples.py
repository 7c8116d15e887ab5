"""An index, its file, and the web UI's UNet on stand-ins for engines."""
import json
from contextlib import contextmanager
from types import SimpleNamespace

from sdtrt import a1111, hooks, index, lora, unet
from sdtrt.machine import Machine
from sdtrt.place import Place

HERE = Machine("1.7.1.116", "8.9")
SMALL = {"preset": "default", "width": [512, 512, 768], "height": [512, 512, 768],
         "batch": [1, 2, 8], "tokens": [77, 77, 154]}
LARGE = {"preset": "dynamic", "width": [512, 1024, 2048], "height": [512, 1024, 2048],
         "batch": [1, 2, 8], "tokens": [77, 77, 154]}


def engine(name="engine", **changes):
    return {
        "id": name, "kind": "baked", "plan": f"/{name}", "tensorrt": HERE.tensorrt,
        "compute_capabilities": [HERE.compute_capability], "precision": "fp16", "state": "ready",
        "relative_error": 0.001, "profiles": [SMALL, LARGE],
    } | changes


def checkpoint(name, locations, engines):
    return {"id": name, "unet": f"unet of {name}", "architecture": "sd1",
            "locations": [str(path) for path in locations], "engines": engines}


def text(*checkpoints):
    return json.dumps({"version": 1, "socket": "/socket", "checkpoints": checkpoints})


def parsed(*checkpoints):
    return index.parse(text(*checkpoints))


class Shaped:
    """A tensor, as far as it is looked at."""

    def __init__(self, *shape):
        self.shape = shape


def call(width=512, height=512, batch=2, tokens=77):
    """What the web UI hands over for a call."""
    return Shaped(batch, 4, height // 8, width // 8), Shaped(batch), Shaped(batch, tokens, 768)


class Engines:
    """Stand-ins for engines on the GPU, and what is done with them."""

    inputs = {"sample", "timesteps", "encoder_hidden_states"}

    def __init__(self, test, folder):
        self.loaded, self.profiles, self.followed, self.said = [], [], [], []
        self.broken = set()
        self.refused = 0
        # The GPU at work, and where each engine was loaded and called.
        self.gpu, self.gpus = None, []
        for module, name, stand_in in (
            (unet, "load", self.load), (unet.machine, "here", lambda: HERE), (unet.machine, "on", self.on),
            (a1111, "say", self.said.append),
            (hooks, "place", Place(folder)), (hooks, "index_file", index.IndexFile(folder / "index.json")),
            (hooks, "files", hooks.options.Files()), (hooks, "_listed", None),
        ):
            test.addCleanup(setattr, module, name, getattr(module, name))
            setattr(module, name, stand_in)

    @contextmanager
    def on(self, gpu):
        before, self.gpu = self.gpu, gpu
        yield
        self.gpu = before

    def follow(self, networks):
        if any("strange" in network.modules for network in networks):
            self.refused += 1
            raise lora.Unsupported("a LoRA is strange")
        self.followed.append(list(networks))

    def load(self, entry, cache, checkpoint, read_state_dict):
        if entry.id in self.broken:
            raise RuntimeError("it is broken")
        self.loaded.append(entry.id)
        self.gpus.append(self.gpu)

        def compute(profile, inputs):
            if entry.id in self.broken:
                raise RuntimeError("it is broken")
            self.profiles.append(profile)
            self.gpus.append(self.gpu)
            return f"{entry.id}'s"

        engine = SimpleNamespace(inputs=self.inputs, cache=SimpleNamespace(save=lambda write: None))
        # Called like a function, which a namespace is not.
        callable_engine = type("Engine", (), {"__call__": lambda _, *args: compute(*args), **vars(engine)})()
        refit = SimpleNamespace(follow=self.follow)
        return callable_engine, refit if entry.is_shared else None
