"""For checks without a GPU: an extension of A1111 that has ours believe that there is one, with an engine for every
UNet. Another UNet computes in the engine's place, so that the pictures stay the same bits if its weights are the right
ones, and all that comes before and after an engine is really run."""
import json
import sys
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from weakref import WeakKeyDictionary

from modules import script_callbacks

# As in sdtrtd's index.
PROFILE = {"preset": "default", "width": [64, 64, 4096], "height": [64, 64, 4096], "batch": [1, 2, 64],
           "tokens": [77, 77, 77 * 40]}
SPEED = {"gpu": "pretended", "width": 64, "height": 64, "batch": 2, "tokens": 77, "milliseconds": 10.0}
ENGINE = {"id": "pretend" * 9, "kind": "shared", "plan": "/nowhere", "manifest": "/nowhere", "tensorrt": "1.7.1.116",
          "compute_capabilities": ["8.9"], "precision": "fp16", "state": "ready", "relative_error": 0.0,
          "profiles": [PROFILE], "limits": [], "speeds": [SPEED], "sample": None}
SIGNATURE = {"id": "any", "architecture": "sd1", "engines": [ENGINE]}


class Pretended:
    """In place of the module `gpu`: another UNet computes, of the same classes. It has copies of the weights that an
    engine would read, taken when an engine would look at them, and knows nothing of LoRAs or what else the web UI does
    to its own."""

    def __init__(self, host):
        self.host = host
        # By UNet: the one that computes in its place, and where it last found the weights.
        self.twins, self.pointers = WeakKeyDictionary(), WeakKeyDictionary()

    def serve(self, entry, profile, inputs, read):
        from sdtrt import weights
        from sdtrt.recording import added
        from sdtrt.residuals import parted

        twin = self.twins.get(read.unet)
        if twin is None:
            twin = self.twins[read.unet] = twin_of(read.unet)
        pointers = weights.pointers(list(read.places.values()))
        if read.fresh or pointers is None or self.pointers.get(read.unet) != pointers:
            take(twin, read.places)
            self.pointers[read.unet] = pointers
        first, others = parted(inputs)
        with added(twin, others.pop("residuals", None)):
            return self.host.original_forward(twin)(twin, *first, **others)

    def rest(self):
        self.twins.clear()
        self.pointers.clear()

    drop = rest

    def nothing(self, *args):
        return "pretended"

    sample = restore = save = nothing


def twin_of(unet):
    """Returns a UNet of the same classes, without token merging and what the web UI's own extension needs to apply
    LoRAs."""
    # Its parameters are replaced anyway.
    twin = deepcopy(unet, {id(parameter): parameter for parameter in unet.parameters()})
    for module in twin.modules():
        module.__class__ = getattr(module, "_parent", type(module))
        for name in [name for name in vars(module) if name.startswith("network_")]:
            delattr(module, name)
    return twin


def take(twin, places):
    """Copies the weights at these places."""
    import torch

    modules = dict(twin.named_modules())
    for name, (held, key) in places.items():
        path, _, own = name.rpartition(".")
        modules[path]._parameters[own] = torch.nn.Parameter(held[key].detach().clone(), requires_grad=False)


def pretend():
    from sdtrt import a1111, index, machine
    from sdtrt.a1111 import hooks
    from sdtrt.signature import Looks

    tree = {"version": index.VERSION, "socket": None, "signatures": [SIGNATURE], "checkpoints": []}
    found = index.parse(json.dumps(tree))
    engine = found.signatures["any"].engines[0]
    index.Index.controlled = lambda self, signature: (replace(engine, id="control" * 9),)
    index.Index.shared = lambda self, signature: () if signature in unknown else (engine,)
    look, unknown = Looks.at, set()

    def at(looks, unet):
        """Knows no engine for a UNet to which something was added."""
        found = look(looks, unet)
        if found.new:
            unknown.add(found.signature)
        return found

    Looks.at = at
    a1111.standstill = machine.missing = lambda: None
    a1111.is_awake = lambda: True
    machine.here = lambda: machine.Machine("1.7.1.116", "8.9", "pretended")
    machine.driver = lambda: "0"
    machine.on = lambda number: nullcontext()
    hooks.unet.gpu = Pretended(a1111)
    hooks.unet.chooser.torch_speeds.append(replace(engine.speeds[0], milliseconds=21.0))


# Ours is loaded before: its folder's name comes first.
if "sdtrt" in sys.modules:
    pretend()
else:
    script_callbacks.on_before_ui(pretend)
