"""For checks without a GPU: an extension of Forge's family that has ours believe that there is one, with an engine for
every UNet. Another UNet computes in the engine's place, of the same classes. It has copies of the weights that an
engine would read, taken when an engine would look at them, and knows nothing of what else is done to the web UI's own;
so the pictures stay the same bits only if its weights are the right ones."""
import json
import sys
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from modules import script_callbacks

# As in sdtrtd's index.
PROFILE = {"preset": "default", "width": [64, 64, 1024], "height": [64, 64, 1024], "batch": [1, 2, 64],
           "tokens": [77, 77, 77 * 40]}
SPEED = {"gpu": "pretended", "width": 64, "height": 64, "batch": 2, "tokens": 77, "milliseconds": 10.0}
ENGINE = {"id": "pretend" * 9, "kind": "shared", "plan": "/nowhere", "manifest": "/nowhere", "tensorrt": "1.7.1.116",
          "compute_capabilities": ["8.9"], "precision": "fp16", "state": "ready", "relative_error": 0.0,
          "profiles": [PROFILE], "limits": [], "speeds": [SPEED], "sample": None}
SIGNATURE = {"id": "any", "architecture": "sd1", "engines": [ENGINE]}


class Pretended:
    """In place of everything on the GPU."""

    def __init__(self):
        # By UNet: the one that computes in its place, and where it last found the weights.
        self.twins, self.pointers = WeakKeyDictionary(), WeakKeyDictionary()

    def serve(self, entry, profile, inputs, read):
        from sdtrt import weights

        twin = self.twins.get(read.unet)
        if twin is None:
            # Its parameters are replaced anyway.
            known = {id(parameter): parameter for parameter in read.unet.parameters()}
            twin = self.twins[read.unet] = deepcopy(read.unet, known)
        pointers = weights.pointers(list(read.places.values()))
        if read.fresh or pointers is None or self.pointers.get(read.unet) != pointers:
            take(twin, read.places)
            self.pointers[read.unet] = pointers
        return twin(inputs["sample"], inputs["timesteps"], context=inputs["encoder_hidden_states"], y=inputs.get("y"))

    def rest(self):
        self.twins.clear()
        self.pointers.clear()

    drop = rest

    def nothing(self, *args):
        return "pretended"

    sample = restore = save = nothing


def take(twin, places):
    """Copies the weights at these places."""
    modules = dict(twin.named_modules())
    for name, (held, key) in places.items():
        path, _, own = name.rpartition(".")
        modules[path]._parameters[own] = torch.nn.Parameter(held[key].detach().clone(), requires_grad=False)


def pretend():
    from sdtrt import index, machine
    from sdtrt.forge import jobs
    from sdtrt.forge.script import jobs as running

    tree = {"version": index.VERSION, "socket": None, "signatures": [SIGNATURE], "checkpoints": []}
    found = index.parse(json.dumps(tree))
    engine = found.signatures["any"].engines[0]
    index.Index.shared = lambda self, signature: (engine,)
    index.IndexFile.problem = property(lambda self: None, lambda self, value: None)
    machine.missing = lambda: None
    machine.here = lambda: machine.Machine("1.7.1.116", "8.9", "pretended")
    machine.driver = lambda: "0"
    machine.on = lambda number: nullcontext()
    jobs.gpu_of = lambda tensor: 0
    unet = running.session(0).unet
    unet.gpu = Pretended()
    unet.chooser.torch_speeds.append(replace(engine.speeds[0], milliseconds=21.0))


# Ours may be loaded before or after.
if "sdtrt.forge.script" in sys.modules:
    pretend()
else:
    script_callbacks.on_before_ui(pretend)
