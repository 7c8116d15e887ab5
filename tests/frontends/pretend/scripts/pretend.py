"""For checks without a GPU: an extension of A1111 that has ours believe that there is one, with an engine for every
UNet. PyTorch's own UNet computes in the engine's place, so that the pictures stay the same bits, and all that comes
before and after an engine is really run."""
import json
import sys
from contextlib import nullcontext
from dataclasses import replace

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
    """In place of the module `gpu`."""

    def __init__(self, host):
        self.host = host

    def serve(self, entry, profile, inputs, *weights):
        from sdtrt.residuals import parted

        first, others = parted(inputs)
        return self.host.torch_forward(*first, **others)

    def nothing(self, *args):
        return "pretended"

    sample = restore = rest = drop = save = nothing


def pretend():
    from sdtrt import a1111, index, machine
    from sdtrt.a1111 import hooks

    tree = {"version": index.VERSION, "socket": None, "signatures": [SIGNATURE], "checkpoints": []}
    found = index.parse(json.dumps(tree))
    engine = found.signatures["any"].engines[0]
    index.Index.shared = lambda self, signature: (engine,)
    index.Index.controlled = lambda self, signature: (replace(engine, id="control" * 9),)
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
