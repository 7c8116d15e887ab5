"""What the stand-ins for engines share. Each is loaded by a front end, and finds this by its own file's folder."""
import json
from contextlib import nullcontext
from copy import deepcopy
from importlib import import_module
from weakref import WeakKeyDictionary

# As in sdtrtd's index.
PROFILE = {"preset": "default", "width": [64, 64, 4096], "height": [64, 64, 4096], "batch": [1, 2, 64],
           "tokens": [77, 77, 77 * 40]}
SPEED = {"gpu": "pretended", "width": 64, "height": 64, "batch": 2, "tokens": 77, "milliseconds": 10.0}
ENGINE = {"id": "pretend" * 9, "kind": "shared", "plan": "/nowhere", "manifest": "/nowhere", "tensorrt": "1.7.1.116",
          "compute_capabilities": ["8.9"], "precision": "fp16", "state": "ready", "relative_error": 0.0,
          "profiles": [PROFILE], "limits": [], "speeds": [SPEED], "sample": None}
SIGNATURE = {"id": "any", "architecture": "sd1", "engines": [ENGINE]}


def pretend_engine(index):
    """Has our module `index` know an engine for every UNet; returns it."""
    tree = {"version": index.VERSION, "socket": None, "signatures": [SIGNATURE], "checkpoints": []}
    engine = index.parse(json.dumps(tree)).signatures["any"].engines[0]
    index.Index.shared = lambda self, signature: (engine,)
    return engine


def pretend_gpu(machine):
    """Has our module `machine` believe that there are a GPU and TensorRT-RTX."""
    machine.missing = lambda: None
    machine.here = lambda: machine.Machine("1.7.1.116", "8.9", "pretended")
    machine.driver = lambda: "0"
    machine.on = lambda number: nullcontext()


def slow_pytorch(unet, engine):
    """Has our `unet` believe that PyTorch takes longer than this engine."""
    # Front ends call our package by other names.
    package = type(unet).__module__.rpartition(".")[0]
    Timing = import_module(".timings", package).Timing
    unet.chooser.timing = lambda entry, call: Timing(call, engine.speeds[0].milliseconds, 21.0, 0.0)


class Gpu:
    """In place of our `Gpu`, for a subclass with a method `serve`."""

    def nothing(self, *args):
        return "pretended"

    sample = restore = restore_all = save = rest = drop = nothing


class Twins(Gpu):
    """Other UNets compute, of the same classes. They have copies of the weights that an engine would read, taken when
    an engine would look at them, and know nothing of what else is done to the front end's own."""

    def __init__(self):
        # By UNet: the one that computes in its place, and where it last found the weights.
        self.twins, self.pointers = WeakKeyDictionary(), WeakKeyDictionary()

    def twin(self, read, made):
        """Returns the one for the UNet that is read, which `made` makes of it."""
        from sdtrt import weights

        twin = self.twins.get(read.unet)
        if twin is None:
            twin = self.twins[read.unet] = made(read.unet)
        pointers = weights.pointers(list(read.places.values()))
        if read.fresh or pointers is None or self.pointers.get(read.unet) != pointers:
            take(twin, read.places)
            self.pointers[read.unet] = pointers
        return twin

    def rest(self):
        self.twins.clear()
        self.pointers.clear()

    drop = rest


def twin_of(unet):
    """Returns a UNet of the same classes. It has the same parameters, which are replaced anyway."""
    return deepcopy(unet, {id(parameter): parameter for parameter in unet.parameters()})


def take(twin, places):
    """Copies the weights at these places."""
    import torch

    modules = dict(twin.named_modules())
    for name, (held, key) in places.items():
        path, _, own = name.rpartition(".")
        modules[path]._parameters[own] = torch.nn.Parameter(held[key].detach().clone(), requires_grad=False)
